"""Print the page."""

from boxwright.fidelity import TABLE
from boxwright.fidelity.page import page

if __name__ == "__main__":
    print(page(TABLE), end="")
