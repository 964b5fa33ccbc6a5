"""q(z|x) and p(z) as objects, flat or in conditional groups, and the head that gives a posterior's parameters.

A regulariser speaks to `Latents`, never to an encoder's raw output.
"""
