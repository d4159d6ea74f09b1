"""All scenarios of huggingface_hub itself."""

import later  # noqa: F401
import repos  # noqa: F401
from scenario import run_all

run_all("repos", "later")
