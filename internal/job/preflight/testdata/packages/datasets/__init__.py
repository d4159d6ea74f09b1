from .load import load_dataset, load_from_disk
from .table import Dataset, concatenate_datasets
from .table import Audio
