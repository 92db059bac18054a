"""English words that tell nothing by themselves.

Belongs here: the words. Does not belong here: what is done about them (``linguistic``).
"""

from __future__ import annotations

_VAGUE = """
other such many several few more most own same different various certain first second last next
new old recent previous following further additional similar particular specific main major
important significant large small high low great good best early late former latter whole entire
possible available common single only total overall potential present current respective multiple
numerous subsequent initial general key long short little much less least
"""
_EMPTY = """
way part number thing lot kind type sort case fact use time year day month week hour minute result
study finding data analysis example group level rate amount range series set term order effect
role process change increase decrease one addition end beginning place point side area line form
list name work people person man woman member author paper article section chapter figure table
page majority variety pair basis method approach conclusion purpose aim objective evidence ability
presence absence difference reason question problem issue today tomorrow yesterday someone
something anything everything nothing none half percent percentage couple dozen hundred thousand
million billion total response condition factor individual subject outcome measure value
"""

VAGUE_ADJECTIVES = frozenset(_VAGUE.split())
"""They make no other thing of what they go with."""
EMPTY_NOUNS = frozenset(_EMPTY.split())
"""By themselves they name nothing."""
