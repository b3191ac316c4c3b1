"""The learner judged by the published protocols, beside baselines: what `workload evaluate` does.

Nothing here trains the model that a run leaves behind; it trains others like it, with labels that
arrive late, and tests each on days that it has not seen.
"""
