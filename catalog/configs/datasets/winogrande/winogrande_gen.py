# The generation variant that OpenCompass recommends.
from mmengine.config import read_base

with read_base():
    from .winogrande_gen_458220 import winogrande_datasets
