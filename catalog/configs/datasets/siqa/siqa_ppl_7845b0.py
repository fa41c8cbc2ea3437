# Social IQa, 0-shot: perplexity of question and answer as plain text.
from opencompass.datasets import siqaDataset
from opencompass.openicl.icl_evaluator import AccEvaluator
from opencompass.openicl.icl_inferencer import PPLInferencer
from opencompass.openicl.icl_prompt_template import PromptTemplate
from opencompass.openicl.icl_retriever import ZeroRetriever

siqa_reader_cfg = dict(
    input_columns=['context', 'question', 'answerA', 'answerB', 'answerC'],
    output_column='label',
    test_split='validation',
)

# labels count from 1
asked = '{context} \nQ: {question}\nA: '
answers = {1: asked + '{answerA}', 2: asked + '{answerB}', 3: asked + '{answerC}'}

siqa_infer_cfg = dict(
    prompt_template=dict(type=PromptTemplate, template=answers),
    retriever=dict(type=ZeroRetriever),
    inferencer=dict(type=PPLInferencer),
)

siqa_eval_cfg = dict(evaluator=dict(type=AccEvaluator))

siqa_datasets = [
    dict(
        type=siqaDataset,
        abbr='siqa',
        path='opencompass/siqa',
        reader_cfg=siqa_reader_cfg,
        infer_cfg=siqa_infer_cfg,
        eval_cfg=siqa_eval_cfg,
    ),
]
