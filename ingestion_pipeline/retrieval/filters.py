"""Filter expressions: a small language over documented columns, translated to SQL.

Belongs here: reading an expression and writing SQL for it. Does not belong here: running it.

Grammar (words in capitals may be written in any case)::

    expression = conjunction { OR conjunction }
    conjunction = negation { AND negation }
    negation   = NOT negation | "(" expression ")" | comparison
    comparison = column ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) literal
               | column [ NOT ] IN "(" literal { "," literal } ")"
               | column [ NOT ] LIKE string          % any characters, _ one character
               | column [ NOT ] CONTAINS string      ignoring case
    literal    = 'text', with '' for a quote, or "text", or a whole number

Columns that hold several values (``page``, ``heading``, ``keyword``, ``tag``) satisfy a comparison
if one of the values does; negated with NOT or ``!=``, if none does. No part of the expression
reaches the database except as an operator, a column or a literal that was read here and written
anew.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.indexing import sql_string

LONGEST_EXPRESSION = 4096
DEEPEST_NESTING = 32


class _Type(Enum):
    TEXT = auto()
    NUMBER = auto()
    TEXTS = auto()
    NUMBERS = auto()


@dataclass(frozen=True)
class _Column:
    sql: str
    type: _Type
    meaning: str

    @property
    def holds_text(self) -> bool:
        return self.type in {_Type.TEXT, _Type.TEXTS}

    @property
    def holds_many(self) -> bool:
        return self.type in {_Type.TEXTS, _Type.NUMBERS}


_COLUMNS = {
    "name": _Column("name", _Type.TEXT, "the document's name"),
    "document_id": _Column("document_id", _Type.TEXT, "the document's id"),
    "uri": _Column("uri", _Type.TEXT, "where the document came from"),
    "media_type": _Column("media_type", _Type.TEXT, "such as application/pdf"),
    "kind": _Column("kind", _Type.TEXT, "what was found: chunk"),
    "text": _Column("text", _Type.TEXT, "the passage itself"),
    "heading": _Column("heading_path", _Type.TEXTS, "the headings above the passage"),
    "page": _Column("pages", _Type.NUMBERS, "the pages the passage touches, from 1"),
    "ordinal": _Column("ordinal", _Type.NUMBER, "the passage's place in its document, from 0"),
    "keyword": _Column("keywords", _Type.TEXTS, "the passage's keywords"),
    "tag": _Column("tags", _Type.TEXTS, "the passage's tags"),
    "language": _Column("language", _Type.TEXT, "the document's language, such as en"),
    "tokens": _Column("tokens", _Type.NUMBER, "the passage's length for the embedding model"),
}

COLUMNS: Mapping[str, str] = MappingProxyType(
    {name: column.meaning for name, column in _COLUMNS.items()}
)
"""The columns a filter may name, and what they hold."""

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>'(?:[^']|'')*'|"[^"]*")
      | (?P<number>-?\d{1,15}(?![\w.]))
      | (?P<word>[A-Za-z_]\w*)
      | (?P<symbol><=|>=|!=|<>|=|<|>|\(|\)|,)
    )""",
    re.VERBOSE,
)
_COMPARISONS = frozenset({"=", "!=", "<>", "<", "<=", ">", ">="})
_KEYWORDS = frozenset({"AND", "OR", "NOT", "IN", "LIKE", "CONTAINS"})


def filter_sql(expression: str) -> str:
    """Translate a filter expression to the SQL condition it means.

    Raises:
        PermanentError: of kind ``invalid_option``, saying what was expected and where.
    """
    return _Parser(expression).parse()


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


def _tokens(expression: str) -> list[_Token]:
    tokens = []
    position = 0
    end = len(expression.rstrip())
    while position < end:
        match = _TOKEN.match(expression, position)
        if match is None:
            raise _unreadable(expression, position, "an unknown character or an open quote")
        kind = match.lastgroup or ""
        text = match.group(kind)
        if kind == "word" and text.upper() in _KEYWORDS:
            kind, text = "keyword", text.upper()
        tokens.append(_Token(kind, text, match.start(match.lastgroup or 0)))
        position = match.end()
    return [*tokens, _Token("end", "", end)]


def _unreadable(expression: str, position: int, problem: str) -> PermanentError:
    where = expression[position : position + 20].strip() or "the end"
    return PermanentError(
        ErrorKind.INVALID_OPTION,
        f"the filter cannot be read at {where!r} (character {position + 1}): {problem}",
    )


class _Parser:
    """Reads one expression by recursive descent."""

    def __init__(self, expression: str) -> None:
        if len(expression) > LONGEST_EXPRESSION or "\0" in expression:
            raise PermanentError(
                ErrorKind.INVALID_OPTION,
                f"a filter has at most {LONGEST_EXPRESSION} characters, none of them NUL",
            )
        self._expression = expression
        self._tokens = _tokens(expression)
        self._next = 0
        self._depth = 0

    def parse(self) -> str:
        sql = self._alternatives()
        self._expect("end", "", "AND, OR or the end")
        return sql

    def _alternatives(self) -> str:
        parts = [self._conjunction()]
        while self._accept("keyword", "OR"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})"

    def _conjunction(self) -> str:
        parts = [self._negation()]
        while self._accept("keyword", "AND"):
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else f"({' AND '.join(parts)})"

    def _negation(self) -> str:
        self._depth += 1
        if self._depth > DEEPEST_NESTING:
            raise self._error(f"at most {DEEPEST_NESTING} levels of NOT and parentheses")
        if self._accept("keyword", "NOT"):
            sql = f"(NOT {self._negation()})"
        elif self._accept("symbol", "("):
            sql = self._alternatives()
            self._expect("symbol", ")", "a closing parenthesis")
        else:
            sql = self._comparison()
        self._depth -= 1
        return sql

    def _comparison(self) -> str:
        column = self._column()
        if self._current.kind == "symbol" and self._current.text in _COMPARISONS:
            operator = self._take().text
            return _compared(column, operator, self._literal(column))
        negated = self._accept("keyword", "NOT")
        if self._accept("keyword", "IN"):
            sql = self._membership(column)
        elif self._accept("keyword", "LIKE"):
            sql = f"{self._as_text(column)} LIKE {self._string()}"
        elif self._accept("keyword", "CONTAINS"):
            sql = f"contains(lower({self._as_text(column)}), lower({self._string()}))"
        else:
            raise self._error("expected =, !=, <, <=, >, >=, IN, LIKE or CONTAINS")
        return f"(NOT {sql})" if negated else f"({sql})"

    def _membership(self, column: _Column) -> str:
        self._expect("symbol", "(", "an opening parenthesis")
        literals = [self._literal(column)]
        while self._accept("symbol", ","):
            literals.append(self._literal(column))
        self._expect("symbol", ")", "a comma or a closing parenthesis")
        if column.holds_many:
            return f"array_has_any({column.sql}, [{','.join(literals)}])"
        return f"{column.sql} IN ({','.join(literals)})"

    def _column(self) -> _Column:
        token = self._expect("word", None, "a column")
        column = _COLUMNS.get(token.text.lower())
        if column is None:
            raise PermanentError(
                ErrorKind.INVALID_OPTION,
                f"unknown filter column {token.text!r}; there are {', '.join(_COLUMNS)}",
            )
        return column

    def _as_text(self, column: _Column) -> str:
        if not column.holds_text:
            raise self._error("LIKE and CONTAINS compare text, and this column holds numbers")
        return f"array_to_string({column.sql}, ' > ')" if column.holds_many else column.sql

    def _literal(self, column: _Column) -> str:
        if column.holds_text:
            return self._string()
        return self._expect("number", None, "a whole number").text

    def _string(self) -> str:
        quoted = self._expect("string", None, "a text in quotes").text
        value = quoted[1:-1].replace("''", "'") if quoted[0] == "'" else quoted[1:-1]
        return sql_string(value)

    @property
    def _current(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._current
        self._next += 1
        return token

    def _accept(self, kind: str, text: str) -> bool:
        if (self._current.kind, self._current.text) != (kind, text):
            return False
        self._take()
        return True

    def _expect(self, kind: str, text: str | None, description: str) -> _Token:
        if self._current.kind != kind or text not in {None, self._current.text}:
            raise self._error(f"expected {description}")
        return self._take()

    def _error(self, problem: str) -> PermanentError:
        return _unreadable(self._expression, self._current.at, problem)


def _compared(column: _Column, operator: str, literal: str) -> str:
    operator = "<>" if operator == "!=" else operator
    if not column.holds_many:
        return f"({column.sql} {operator} {literal})"
    if operator == "=":
        return f"array_has({column.sql}, {literal})"
    if operator == "<>":
        return f"(NOT array_has({column.sql}, {literal}))"
    extreme = "array_min" if operator.startswith("<") else "array_max"
    return f"({extreme}({column.sql}) {operator} {literal})"
