--- sub/good.py
siqa_datasets = [dict(abbr='siqa')]
siqa_reader_cfg = dict(a=1)
helper = 5
--- sub/gut.py
x = 1
--- sub/broken.py
a = 1
b = = 2
--- sub/failing.py
def make(n):
    return dict(n=1 / n)
data = make(0)
--- sub/uses.py
from mmengine.config import read_base
with read_base():
    from .failing import data
--- sub/classic_like.py
import os
x = os.getcwd
-----------------------------------------------------------------------
from mmengine.config import read_base
with read_base():
    from .sub.god import siqa_datasets  ### config .sub.god not found → did you mean .sub.good?
-----------------------------------------------------------------------
from mmengine.config import read_base
with read_base():
    from .sub.good import siqa_dataset  ### `siqa_dataset` is not defined in sub/good.py → did you mean "siqa_datasets"?
-----------------------------------------------------------------------
from mmengine.config import read_base
with read_base():
    from .sub.good import something_else  ### `something_else` is not defined in sub/good.py → it defines siqa_datasets, siqa_reader_cfg
-----------------------------------------------------------------------
from mmengine.config import read_base
with read_base():
    from .sub.broken import a  ### unexpected '='
    from .nowhere.at_all import b  ### config .nowhere.at_all not found → looked for nowhere/at_all.py, catalog:nowhere/at_all.py
    from .sub.good import siqa_datasets
    from .sub.missing import c  ### config .sub.missing not found → there are broken, classic_like, failing, good, gut, uses
-----------------------------------------------------------------------
from mmengine.config import read_base
with read_base():
    from .sub.uses import data  ### ZeroDivisionError: division by zero
-----------------------------------------------------------------------
from mmengine.config import read_base
with read_base():
    from .datasets.siqa.siqa_pl import siqa_datasets  ### config .datasets.siqa.siqa_pl not found → did you mean .datasets.siqa.siqa_ppl?
-----------------------------------------------------------------------
from mmengine.config import read_base
with read_base():
    from opencompass.configs.datasets.winogrande.winogrande_pp import winogrande_datasets  ### config opencompass.configs.datasets.winogrande.winogrande_pp not found → did you mean opencompass.configs.datasets.winogrande.winogrande_ppl?
-----------------------------------------------------------------------
from mmengine.config import read_base
with read_base():
    from good import siqa_datasets  ### `good` is a package, not a config file → for a file beside this one write from .good import …
-----------------------------------------------------------------------
from mmengine.config import read_base
with read_base():
    from . import sub  ### `from . import …` cannot be used in `with read_base():` → name the file: from .file import variable
-----------------------------------------------------------------------
from mmengine.config import read_base
with read_base():
    import sub.good  ### only `from … import …` can be used in `with read_base():` → move this line out of the block
-----------------------------------------------------------------------
from mmengine.config import read_base
with read_base():
    x = 1  ### only `from … import …` can be used in `with read_base():` → move this line out of the block
-----------------------------------------------------------------------
from mmengine.config import read_base
with read_base():
    from ..................sub.good import x  ### config ..................sub.good not found: ../../../../../../../../../../../../../../../../../sub/good.py cannot be read: outside the folders that this config may read → looked for ../../../../../../../../../../../../../../../../../sub/good.py, catalog:sub/good.py
-----------------------------------------------------------------------
from .sub.nothing import *  ### config .sub.nothing not found → there are broken, classic_like, failing, good, gut, uses
-----------------------------------------------------------------------
from mmengine.config import read_base
if True:
    with read_base():
        from .sub.good import siqa_datasets
-----------------------------------------------------------------------
from mmengine.config import read_base
_base_ = './sub/good.py'
with read_base():
    from .sub.good import siqa_datasets  ### `with read_base():` cannot be used together with `_base_` → a config has either `_base_` or `with read_base():`
-----------------------------------------------------------------------
_base_ = './sub/goood.py'  ### `_base_` ./sub/goood.py not found
-----------------------------------------------------------------------
_base_ = ['./sub/good.py', './sub/uses.py']  ### ./sub/uses.py imports packages or uses `with read_base():`, so it cannot be a `_base_` → write with read_base(): from .file import * in place of _base_
-----------------------------------------------------------------------
_base_ = ['./sub/good.py']
siqa_datasets = dict(x=1)  ### 'siqa_datasets' is a dict here but list in the base → add _delete_=True to replace what the base has
-----------------------------------------------------------------------
_base_ = 5  ### `_base_` must be a path or a list of paths, not int
-----------------------------------------------------------------------
from os import *  ### `from os import *` is not allowed in a config
x = 1
from opencompass.models import X
