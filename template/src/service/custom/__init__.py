"""Your own code. No update of the template changes a file in this folder.

`feature` is what it adds to the service. `service.context` lists the slots that there are; where a
slot takes one contribution, yours goes before the template's.
"""

from service.context import ROUTES, TASKS
from service.custom.routes import routes
from service.custom.tasks import tasks

feature = (ROUTES.by(routes), TASKS.by(tasks))
