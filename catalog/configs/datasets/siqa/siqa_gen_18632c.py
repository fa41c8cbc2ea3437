# Social IQa, 0-shot: the model writes the letter of its answer. The letter must
# come with its answer or in a sentence: cushion=False takes no bare letter.
from opencompass.datasets import SiqaDatasetV3
from opencompass.openicl.icl_evaluator import AccEvaluator
from opencompass.openicl.icl_inferencer import GenInferencer
from opencompass.openicl.icl_prompt_template import PromptTemplate
from opencompass.openicl.icl_retriever import ZeroRetriever
from opencompass.utils.text_postprocessors import first_option_postprocess

siqa_reader_cfg = dict(
    input_columns=['context', 'question', 'A', 'B', 'C'],
    output_column='answer',
    test_split='validation',
)

asked = '{context}\nQuestion: {question}\nA. {A}\nB. {B}\nC. {C}\nAnswer:'
siqa_infer_cfg = dict(
    prompt_template=dict(
        type=PromptTemplate,
        template=dict(round=[dict(role='HUMAN', prompt=asked)]),
    ),
    retriever=dict(type=ZeroRetriever),
    inferencer=dict(type=GenInferencer),
)

siqa_eval_cfg = dict(
    evaluator=dict(type=AccEvaluator),
    pred_postprocessor=dict(type=first_option_postprocess, options='ABC', cushion=False),
)

siqa_datasets = [
    dict(
        type=SiqaDatasetV3,
        abbr='siqa',
        path='opencompass/siqa',
        reader_cfg=siqa_reader_cfg,
        infer_cfg=siqa_infer_cfg,
        eval_cfg=siqa_eval_cfg,
    ),
]
