# The demonstration model that comes with the program: a small OPT trained from
# scratch. It shows that everything works; its answers are near guessing.
from opencompass.models import HuggingFaceBaseModel

opt_demo = dict(
    type=HuggingFaceBaseModel,
    abbr='opt-demo',
    path='sextant/opt-demo',
    max_out_len=100,
    max_seq_len=512,
    batch_size=64,
    run_cfg=dict(num_gpus=0),
)

models = [opt_demo]
