from tests.support.store import conn as conn
from tests.support.store import connect as connect
from tests.support.store import database as database
from tests.support.store import store_url as store_url
