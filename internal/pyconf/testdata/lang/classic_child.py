_base_ = ['./classic_base1.py', './classic_base2.json']
a = dict(x=2, new=3)
b = dict(_delete_=True, only=1)
ref = {{ _base_.a.y }}
mixed = [{{ _base_.lst }}, dict(z={{_base_.j.k}})]
read = _base_.a.y + 1
