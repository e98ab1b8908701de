# Runs one test function on the SIM board: speakeasy-sim -m run_one MODULE FUNCTION. conftest.py starts it.
import asyncio
import sys

# A status that nothing else ends with: a test that leaves by sys.exit(0) has not passed.
_PASSED = 42


def main(module, function):
    outcome = getattr(__import__(module), function)()
    if outcome is not None:  # a coroutine
        asyncio.run(outcome)


try:
    main(sys.argv[1], sys.argv[2])
except Exception as error:  # noqa: BLE001 (whatever a test raises is its result)
    sys.print_exception(error)
    sys.exit(1)
sys.exit(_PASSED)
