"""What ``twistd --help`` lists of TaskManager."""

from twisted.application.service import ServiceMaker

taskdispatcher = ServiceMaker(
    "TaskDispatcher", "tm.tap.dispatcher", "Receives jobs, keeps them, sends them to vacant hosts.", "taskdispatcher"
)
taskmanagerserver = ServiceMaker(
    "TaskManagerServer", "tm.tap.user_server", "A user's server (TMS): signs, checks, relays.", "taskmanagerserver"
)
taskmanagerhost = ServiceMaker(
    "TaskManagerHost", "tm.tap.host_server", "A user's server on a host (TMMS): runs the jobs.", "taskmanagerhost"
)
infoserver = ServiceMaker("InfoServer", "tm.tap.info_server", "Says what this computer is and does.", "infoserver")
taskweb = ServiceMaker("TaskWeb", "tm.tap.web", "The web interface.", "taskweb")
