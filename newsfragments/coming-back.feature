Servers and jobs outlive a logout by the best means an account has (a lingering user scope, else a session of their own), and hosts show which. `tm service
install` has your server, the TaskDispatcher or an InfoServer come back after a boot, by a user unit or a crontab. Jobs whose host was restarted say
so, and with `hRunJob --requeue` they are begun anew.
