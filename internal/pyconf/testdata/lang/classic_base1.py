a = dict(x=1, y=5, z=dict(p=1))
b = dict(gone=1)
lst = [1, 2]
