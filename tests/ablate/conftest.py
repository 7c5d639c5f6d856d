import pytest

from tests.ablate.toys import Toys, make_toys


@pytest.fixture(scope="session")
def toys(tmp_path_factory) -> Toys:
    return make_toys(tmp_path_factory.mktemp("toys"))
