"""Functions that run in the kitchen: `majordomo launch examples/functions/hello.py`."""

import computepods

app = computepods.App("hello")


@app.function(cache=True)
def square(x):
    print("squaring", x)
    return x * x


@app.function()
def divide(a, b):
    return a / b


@app.local_entrypoint()
def main(count: int = 5):
    print("here:", square.local(3))
    print("in the kitchen:", square.remote(3))
    print("many:", list(square.map(range(count))))
    try:
        divide.remote(1, 0)
    except ZeroDivisionError as error:
        print("it came back:", error)
