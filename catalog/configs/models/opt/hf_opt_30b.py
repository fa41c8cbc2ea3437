# facebook/opt-30b, a base model. Licence: OPT-175B licence (non-commercial).
from opencompass.models import HuggingFaceBaseModel

opt30b = dict(
    type=HuggingFaceBaseModel,
    abbr='opt-30b-hf',
    path='facebook/opt-30b',
    max_out_len=1024,
    batch_size=4,
    run_cfg=dict(num_gpus=0),
)

models = [opt30b]
