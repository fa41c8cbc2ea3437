# Social IQa, 0-shot: perplexity of each answer as the reply to the question.
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
asked = dict(role='HUMAN', prompt='{context}\nQuestion: {question}\nAnswer:')
answers = {
    1: dict(round=[asked, dict(role='BOT', prompt='{answerA}')]),
    2: dict(round=[asked, dict(role='BOT', prompt='{answerB}')]),
    3: dict(round=[asked, dict(role='BOT', prompt='{answerC}')]),
}

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
