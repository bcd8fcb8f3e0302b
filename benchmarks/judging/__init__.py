"""How often each judge reverts a good release, and how many requests it needs to find a bad one: simulated releases.

`scenarios` says what is simulated, `traffic` draws it, `default` is the product's judge for many releases at once
(tested against it to 1e-9; `unknown`: without a history), `habits` its choice of windows, `rivals` the rules of
Flagger, Argo Rollouts and Kayenta, `wald` the limit. `cells` puts them together, `goals` compares with what was
promised, `report` prints.
"""
