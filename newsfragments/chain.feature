A job goes its whole way: `hRunJob` submits it, the TaskDispatcher keeps and places it, the user's own servers sign it,
carry it to a host and run it there, and its exit status and output come back; no kill of any daemon loses or doubles it.
