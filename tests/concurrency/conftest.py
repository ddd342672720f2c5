from tests.support.engines import open_desk as open_desk
from tests.support.engines import start_engine as start_engine
from tests.support.engines import terminations as terminations
from tests.support.store import conn as conn
from tests.support.store import connect as connect
from tests.support.store import database as database
from tests.support.store import store_url as store_url
