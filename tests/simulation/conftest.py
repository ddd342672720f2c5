from tests.support.simulation.database import simulation as simulation
from tests.support.store import database as database
from tests.support.store import store_url as store_url
