"""The gates replayed over Prometheus' history: what would each have said, how often wrongly, how soon rightly.

`twin` judges arrays of windows as `gates` judges one window after the other; `history` reads the counters, `arms`
splits or names the two arms, `replay` restarts the tests release by release, `report` and `chart` say what was found.
Nothing here steers or decides. It needs numpy (extra `backtest`), and matplotlib for charts as files (extra `charts`).
"""
