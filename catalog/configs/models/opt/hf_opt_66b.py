# facebook/opt-66b, a base model. Licence: OPT-175B licence (non-commercial).
from opencompass.models import HuggingFaceBaseModel

opt66b = dict(
    type=HuggingFaceBaseModel,
    abbr='opt-66b-hf',
    path='facebook/opt-66b',
    max_out_len=1024,
    batch_size=2,
    run_cfg=dict(num_gpus=0),
)

models = [opt66b]
