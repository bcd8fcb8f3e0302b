"""`make demo`: four releases of a real model on live traffic, on a real cluster, watched from the outside.

`story` says what is played, `setting` brings it up, `play` plays it, `wire` says what users saw, `view` and `plain`
show it. The demo is a user of the product: it applies objects, reads the status and sends requests.

Rejected: a recorded session. Everything here may fail, and says so when it does.
"""
