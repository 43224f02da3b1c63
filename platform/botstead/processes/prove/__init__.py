"""`botstead prove`: a private appliance is driven, hurt and judged from outside, so that promises are figures and not words."""
