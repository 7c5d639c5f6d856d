"""Linear mixed models: crossed and nested random effects, honest degrees of freedom.

``stats.mixed.fit.lmm(formula, data)`` takes lme4's formula syntax and returns an ``LmmFit``. In
the order of the data: ``formula`` (text to terms), ``design`` (table to matrices), ``moments`` and
``criterion`` (profiled deviance and its gradient), ``optimise``, ``information`` and ``ddf``
(denominator degrees of freedom), ``contest`` (the one test of contrasts), ``anova``, ``emm``,
``effects`` (random effects, residuals), ``profile``, ``resample`` (parametric bootstrap),
``nested`` (likelihood ratios).
"""
