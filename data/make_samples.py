"""Write the PDF and DOCX files of ``data/samples``.

The samples are the papers of a company that does not exist. Its text, Markdown and HTML files are
kept as they are; the seven PDF and DOCX files are written from the texts below, so that their
source can be read, compared and changed. The same versions of the libraries write the same bytes
on every run: no clock, random id or file name of this machine goes into a file.

Run ``python data/make_samples.py [FOLDER]`` (``data/samples`` by default). Needs ``python-docx``,
which the project has anyway, and ``reportlab``, which nothing else needs.

The texts use a little Markdown: ``#`` headings (one line each), paragraphs, ``-`` and ``1.`` lists,
``|`` tables without a rule, first row is the header; a paragraph that starts with "Table" is a
caption.
"""

import html
import io
import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from reportlab.lib import colors
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ListStyle, ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    Flowable,
    ListFlowable,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
    Table,
    TableStyle,
)

COMPANY = "Quillmere Instruments"
WRITTEN_AT = datetime(2025, 5, 12, 9, 0)  # noqa: DTZ001 - OOXML wants a naive UTC time
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


# The little Markdown


@dataclass(frozen=True)
class Heading:
    """A title; level 1 is the document's own."""

    level: int
    text: str


@dataclass(frozen=True)
class Text:
    """A paragraph or a table's caption."""

    text: str
    is_caption: bool


@dataclass(frozen=True)
class Items:
    """A list."""

    items: list[str]
    is_numbered: bool


@dataclass(frozen=True)
class Grid:
    """A table; the first row is its header and all rows are equally long."""

    rows: list[list[str]]


Block = Heading | Text | Items | Grid


def read_blocks(source: str) -> Iterator[Block]:
    """Yield the blocks of a text, which are separated by blank lines."""
    for block in source.strip().split("\n\n"):
        if block.startswith("#"):
            marks, _, title = block.partition(" ")
            yield Heading(len(marks), title)
        elif block.startswith("|"):
            yield Grid([_cells(line) for line in block.splitlines()])
        elif block.startswith(("- ", "1. ")):
            items = re.split(r"^(?:-|\d+\.) ", block, flags=re.MULTILINE)[1:]
            yield Items([_unwrap(item) for item in items], is_numbered=block.startswith("1"))
        else:
            yield Text(_unwrap(block), is_caption=block.startswith("Table "))


def _unwrap(lines: str) -> str:
    return " ".join(lines.split())


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


# PDF

ACCENT = colors.HexColor("#1f4e5f")
BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=10, leading=14, spaceAfter=7)
CELL = ParagraphStyle("cell", parent=BODY, fontSize=9, leading=11.5, spaceAfter=0)
NUMBER = ParagraphStyle("number", parent=CELL, alignment=TA_RIGHT)
CAPTION = ParagraphStyle(
    "caption", parent=BODY, fontName="Helvetica-Bold", fontSize=9, spaceAfter=4, keepWithNext=1
)
HEADINGS = {
    level: ParagraphStyle(
        f"heading {level}",
        fontName="Helvetica-Bold",
        fontSize=size,
        leading=size * 1.25,
        spaceBefore=size * 0.7,
        spaceAfter=size * 0.4,
        textColor=ACCENT,
        keepWithNext=1,
    )
    for level, size in ((1, 22), (2, 14), (3, 11.5))
}
BULLETED = ListStyle("bulleted", leftIndent=16, bulletType="bullet", start="•", bulletFontSize=10)
NUMBERED = ListStyle("numbered", leftIndent=16, bulletFormat="%s.", bulletFontSize=10)
GRID_STYLE = TableStyle(
    [
        ("BACKGROUND", (0, 0), (-1, 0), colors.HexColor("#dde8ec")),
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, colors.HexColor("#9fb4bc")),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("TOPPADDING", (0, 0), (-1, -1), 3),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
    ]
)
MARGIN = 22 * mm
TEXT_WIDTH = A4[0] - 2 * MARGIN
QUANTITY = re.compile(r"[-+]?[\d.,]+( ?%)?")


def write_pdf(path: Path, blocks: list[Block], footer: str) -> None:
    """Write A4 pages with a text layer, a running header and a running footer."""
    title = _title(blocks)

    def decorate(canvas: Canvas, document: SimpleDocTemplate) -> None:
        top, bottom, right = A4[1] - 13 * mm, 12 * mm, A4[0] - MARGIN
        canvas.setFont("Helvetica", 8)
        canvas.setFillGray(0.35)
        canvas.drawString(MARGIN, top, COMPANY)
        canvas.drawRightString(right, top, title)
        canvas.line(MARGIN, top - 2 * mm, right, top - 2 * mm)
        canvas.drawString(MARGIN, bottom, footer)
        canvas.drawRightString(right, bottom, f"Page {document.page}")

    document = SimpleDocTemplate(
        str(path),
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=23 * mm,
        bottomMargin=22 * mm,
        title=title,
        author=COMPANY,
        invariant=1,
    )
    story = [flowable for block in blocks for flowable in _flowables(block)]
    document.build(story, onFirstPage=decorate, onLaterPages=decorate)


def _flowables(block: Block) -> list[Flowable]:
    match block:
        case Heading(level, text):
            return [Paragraph(_escape(text), HEADINGS[level])]
        case Text(text, is_caption):
            return [Paragraph(_escape(text), CAPTION if is_caption else BODY)]
        case Items(items, is_numbered):
            paragraphs = [Paragraph(_escape(item), BODY) for item in items]
            style = NUMBERED if is_numbered else BULLETED
            return [ListFlowable(paragraphs, style=style)]
        case Grid(rows):
            return [_table(rows), Spacer(0, 10)]


def _table(rows: list[list[str]]) -> Table:
    """Lay out a table as wide as the text; a column of quantities is aligned to the right."""
    columns = list(zip(*rows, strict=True))
    styles = [
        NUMBER if all(QUANTITY.fullmatch(cell) for cell in column[1:]) else CELL
        for column in columns
    ]
    weights = [min(max(8, *map(len, column)), 45) for column in columns]
    texts = [[_escape(cell) for cell in row] for row in rows]
    texts[0] = [f"<b>{cell}</b>" for cell in texts[0]]
    return Table(
        [[Paragraph(*pair) for pair in zip(row, styles, strict=True)] for row in texts],
        colWidths=[TEXT_WIDTH * weight / sum(weights) for weight in weights],
        repeatRows=1,
        style=GRID_STYLE,
    )


def _escape(text: str) -> str:
    return html.escape(text, quote=False)


# DOCX


def write_docx(path: Path, blocks: list[Block], footer: str) -> None:
    """Write a Word document with the built-in styles, a running header and a running footer."""
    import docx

    document = docx.Document()
    for block in blocks:
        match block:
            case Heading(level, text):
                document.add_heading(text, level - 1)  # level 0 is Word's "Title"
            case Text(text, is_caption):
                document.add_paragraph(text, style="Caption" if is_caption else None)
            case Items(items, is_numbered):
                for item in items:
                    style = "List Number" if is_numbered else "List Bullet"
                    document.add_paragraph(item, style=style)
            case Grid(rows):
                table = document.add_table(len(rows), len(rows[0]), style="Light Grid Accent 1")
                for row, cells in zip(table.rows, rows, strict=True):
                    for cell, text in zip(row.cells, cells, strict=True):
                        cell.text = text
                document.add_paragraph()
    section = document.sections[0]
    section.header.paragraphs[0].text = COMPANY
    section.footer.paragraphs[0].text = footer

    properties = document.core_properties
    properties.title = _title(blocks)
    properties.author = properties.last_modified_by = COMPANY
    properties.comments = ""
    properties.created = properties.modified = WRITTEN_AT
    buffer = io.BytesIO()
    document.save(buffer)
    _write_zip_without_times(path, buffer)


def _write_zip_without_times(path: Path, source: io.BytesIO) -> None:
    with zipfile.ZipFile(source) as timed, zipfile.ZipFile(path, "w") as timeless:
        for name in timed.namelist():
            member = zipfile.ZipInfo(name, ZIP_EPOCH)
            timeless.writestr(member, timed.read(name), zipfile.ZIP_DEFLATED)


def _title(blocks: list[Block]) -> str:
    return next(block.text for block in blocks if isinstance(block, Heading))


# The texts

QUARTERLY_REPORT = """\
# Quarterly Report, First Quarter 2025

1 January to 31 March 2025. Approved by the supervisory board on 12 May 2025. All amounts in
thousand euros unless stated otherwise; the figures have not been audited.

## Summary

Quillmere Instruments began the year well. Revenue rose by 8.9 percent to EUR 18.4 million, and
the operating margin reached 12.9 percent, three points more than a year ago. Growth came from
Siltwarden probes, which North American water authorities bought in large numbers after the dry
autumn, and from Brookledger subscriptions. Gateways sold less than a year ago, because customers
waited for Reedgate 2.

The order backlog at the end of March stood at EUR 11.6 million. Book-to-bill was 1.07. We confirm
our expectation for the whole year.

## Revenue

Siltwarden 4 now accounts for 74 percent of all probes sold. Its average price was stable. Gateway
revenue fell by more than we had planned: dealers ran down their stock before the new model.
Subscriptions grew both in number of stations (up 15 percent to 23,800) and in revenue per
station, as customers added alarms and forecasts.

Table 1. Revenue by product line

| Product line | Q1 2025 | Q1 2024 | Change |
| Siltwarden probes | 8,140 | 7,020 | +16.0 % |
| Reedgate gateways | 3,260 | 3,480 | -6.3 % |
| Brookledger subscriptions | 4,370 | 3,610 | +21.1 % |
| Service and calibration | 2,650 | 2,800 | -5.4 % |
| Total | 18,420 | 16,910 | +8.9 % |

Service and calibration suffered from two weeks in February during which the calibration
laboratory in Orrindale was rebuilt for its second line. The work that was postponed will be made
up in the second quarter.

Table 2. Revenue by region

| Region | Q1 2025 | Q1 2024 | Change |
| Northern Europe | 7,210 | 6,950 | +3.7 % |
| Southern Europe | 4,080 | 4,210 | -3.1 % |
| North America | 4,390 | 3,520 | +24.7 % |
| Asia-Pacific | 2,740 | 2,230 | +22.9 % |
| Total | 18,420 | 16,910 | +8.9 % |

In Southern Europe, three public tenders with a volume of about EUR 0.6 million were postponed to
the summer. None of them has been lost. In Asia-Pacific the new dealer contract, signed in
November, brought its first larger orders.

## Result

The gross margin improved by two points to 54.0 percent. One point came from the share of
subscriptions, which cost little to deliver, and one from the redesigned optical block of
Siltwarden 4, which saves EUR 31 per probe. Expenses for research and development rose because of
Reedgate 2 and the certification of its radio.

Table 3. Operating result

| Item | Q1 2025 | Q1 2024 |
| Revenue | 18,420 | 16,910 |
| Cost of sales | -8,473 | -8,117 |
| Gross profit | 9,947 | 8,793 |
| Research and development | -2,870 | -2,640 |
| Sales and marketing | -2,955 | -2,810 |
| Administration | -1,742 | -1,688 |
| Operating result | 2,380 | 1,655 |
| Operating margin | 12.9 % | 9.8 % |

## Cash and investment

Cash flow from operations was EUR 2.1 million. It was held back by EUR 0.7 million of additional
stock, mainly microcontrollers, whose delivery time has grown to 22 weeks. We invested EUR 1.35
million, of which EUR 0.9 million went into the second calibration line and EUR 0.2 million into
the solar roof in Orrindale. A loan of EUR 0.65 million was repaid. Cash at the end of the quarter
amounted to EUR 13.5 million, against EUR 13.4 million at the beginning.

## Operations

The plant in Orrindale delivered 3,905 probes, a record for a first quarter. First-pass yield was
above target for the first time since the start of Siltwarden 4. On-time delivery missed its
target because of the rebuilding of the laboratory.

Table 4. Key figures of the Orrindale plant

| Key figure | Q1 2025 | Target | Q1 2024 |
| Probes delivered | 3,905 | 3,800 | 3,320 |
| First-pass yield | 96.4 % | 96.0 % | 94.8 % |
| On-time delivery | 93.0 % | 95.0 % | 94.1 % |
| Warranty returns, 12 months | 1.2 % | 1.5 % | 1.9 % |
| Energy per probe, kWh | 41 | 42 | 47 |
| Accidents with lost time | 1 | 0 | 2 |

## Research and development

Reedgate 2 completed its second winter at the frozen test reservoir and was released for series
production on 24 March. The dissolved oxygen probe of project Oxbow is delayed: the membrane
failed its qualification again, and series production will start in the fourth quarter instead of
in June. Brookledger received a forecast of turbidity for the next 48 hours, based on rain radar;
140 stations use it already.

## People

On 31 March the company employed 412 people, 14 more than a year before. Eleven of the new
positions are in software and customer support. Sick leave fell from 5.1 to 4.6 percent. Nineteen
percent of management positions are held by people who were promoted from production or service.

## Risks

1. Components. Two microcontrollers come from a single source. A second one will be qualified by
   September; until then, stock covers five months.
2. Public budgets. About 58 percent of revenue comes from public bodies. A freeze of budgets in
   one large country would cost up to EUR 1.5 million in a year.
3. Currency. Sales in North America are hedged for nine months. A fall of the dollar by ten
   percent beyond that would lower the yearly result by EUR 0.5 million.
4. Information security. Attacks on water works have increased. The external test of Brookledger
   in February found two weaknesses of medium severity; both are closed.

## Outlook

For the full year 2025 we continue to expect revenue between EUR 76 and 79 million and an
operating margin between 12 and 13 percent. Deliveries of Reedgate 2 begin in June. The prices of
Brookledger for new contracts rise by 4 percent from July. Investment will amount to about EUR 4.2
million. The report on the second quarter will be published on 11 August 2025.
"""

RESEARCH_NOTE = """\
# Research Note 31: Keeping Optical Windows Clean in Fresh Water

Research group, Aldmoor, March 2025. Internal; may be shown to customers who ask about service
intervals.

## Abstract

Growth on the window is the main reason for visits to turbidity stations. We compared six ways to
keep the sapphire window of Siltwarden 4 clean, on twelve probes at three sites for 90 days. A
collar of copper mesh together with a wiper that moves every 30 minutes kept the drift below 5
percent for 83 days on average and used little energy. Ultraviolet light was nearly as good but
needs five times the energy. A wiper alone lasted about a month. We recommend mesh and wiper as
the standard for stations that are visited four times a year.

## Question

Customers want to visit a station once in three months. In rivers that are rich in nutrients, an
unprotected window drifts by more than 5 percent within two weeks. Wiping more often helps, but it
wears out blades and drains batteries. Which protection carries a station through a quarter at the
lowest cost of energy?

## Method

Twelve probes were put out from 3 June to 1 September 2024: four in the reach below the Orrindale
plant (a lowland river), four in a drinking water reservoir, and four in the outlet of a fish
pond, which is the worst place that we know. Each treatment ran on two probes at different sites.
After 45 days the probes changed places.

Once a week every probe was lifted, read in a suspension of 40 NTU before and after cleaning by
hand, and put back. The difference is the drift by fouling. A treatment has failed on the first
day on which the drift exceeds 5 percent. Energy was measured at the supply and averaged over a
day; the consumption of the probe itself has been deducted.

## Results

Table 1. Six treatments, means over all sites

| Treatment | Days until 5 % drift | Drift, day 30 | Energy, mWh/day |
| No protection | 9 | 21.4 % | 0 |
| Wiper every 30 minutes | 31 | 4.8 % | 42 |
| Wiper every 10 minutes | 38 | 3.9 % | 126 |
| Copper mesh collar | 44 | 3.1 % | 0 |
| Copper mesh, wiper every 30 minutes | 83 | 1.2 % | 42 |
| Ultraviolet light, 4 minutes an hour | 71 | 1.6 % | 210 |

Tripling the frequency of wiping gained only seven days. Between two wipes nothing settles firmly;
what ends the interval is a film that the blade smears rather than removes. Copper acts on exactly
this film. That is why the two together last longer than the sum of both.

An algal bloom in the reservoir in the sixth week caused a jump on all probes without copper. The
probes with ultraviolet light recovered within two days, those with a wiper alone did not.

### Side effects

- Copper dissolved from the collar was below the limit of detection (0.4 micrograms per litre) at
  a distance of 10 cm. Copper affects the reading of a conductivity cell that is mounted closer
  than 3 cm.
- The mesh collected leaves in the lowland river. A collar with a bevelled edge, tried in August,
  did not.
- Ultraviolet light bleached the cable jacket within 60 days.
- After 90 days the blades of the ten-minute wipers had lost 0.3 mm, half of what is permitted.

## What we do not know

All sites were fresh water between 9 and 24 °C. In brackish water copper corrodes faster, and
barnacles do not care about wipers; a test in an estuary is planned for 2026. Two probes per
treatment are few. The two probes of a treatment differed by up to eight days, so the lead of 83
over 71 days may be chance; the lead over all other treatments is too large for that. We have not
tested lime, which is the main problem in hard water.

## Recommendation

1. Deliver Siltwarden 4 for rivers with a copper mesh collar as standard. It adds EUR 7.40 to the
   cost of a probe and needs replacing every two years.
2. Set the wiper to 30 minutes, not to 10, in the factory settings.
3. Offer ultraviolet light only where copper is not permitted, as in some drinking water intakes,
   and where there is mains power.
4. Let Brookledger estimate fouling from the two detectors, so that a visit is planned when it is
   needed and not by the calendar. A first version agreed with the weekly checks within 1.5
   percent on nine of twelve probes.

## Data

The raw readings (1.6 million rows) and the notebook are in the research archive under RN-31. They
are kept for ten years.
"""

PROCUREMENT_POLICY = """\
# Procurement Policy

Owner: head of procurement. Version 5, in force since 1 October 2024. Applies to all sites.

## Purpose

We spend about EUR 29 million a year with some 640 suppliers. This policy makes sure that we get a
fair price, that nobody orders alone, and that we know whom we deal with. It applies to goods,
services, licences and leases. Travel is booked under the Travel Policy; salaries and taxes are
not purchases.

## Thresholds

What counts is the value over the whole term, without tax. Splitting an order to stay below a
threshold is a breach of this policy.

Table 1. Offers and signatures by value

| Value in EUR | What you need | Who signs |
| up to 1,000 | one offer, company card permitted | line manager |
| 1,001 to 10,000 | two written offers | department head |
| 10,001 to 50,000 | three written offers, purchase order | heads of department and procurement |
| 50,001 to 250,000 | tender, scoring sheet fixed beforehand | heads of procurement and finance |
| above 250,000 | sealed tender, opened by two people | managing director, supervisory board |

The person who asks for something, the person who orders it and the person who confirms its
arrival are three different people. Below EUR 1,000 two are enough.

## Only one possible supplier

Sometimes there is no choice: a patented part, a spare part for an existing machine, a certified
laboratory. Write form P-7, explain why nobody else can deliver and how you know that the price is
fair. The head of procurement decides within five working days. An approval by form P-7 is valid
for 24 months and then has to be asked for again. Convenience, habit and time pressure of our own
making are no reasons.

## Emergencies

If a machine stands still or people are in danger, the plant manager may order for up to EUR
15,000 without offers. The papers are completed within three working days. Emergency orders are
listed for the supervisory board every quarter; in 2024 there were seven.

## New suppliers

Before the first order a supplier fills in the self-assessment (30 questions on ownership,
quality, labour, environment and data protection). For parts that go into a product, the quality
department visits the site.

Bank details are confirmed by calling back a number that we found ourselves, never one in the
message that brought them. The same holds for every later change of bank details. Two false
invoices with a total of EUR 61,000 were stopped in that way in 2023.

Tin, tantalum, tungsten, gold and cobalt need a declaration of origin. We do not buy from mines or
smelters that refuse to be audited.

## Payment

Our standard term is 30 days net. Suppliers with fewer than 50 employees are paid within 14 days
without asking for it. Advance payments above EUR 5,000 need a bank guarantee. We take a discount
for early payment where it exceeds one percent.

## Review of suppliers

Each January the fifty most important suppliers are scored from 0 to 100: quality 40, delivery 30,
price 20, sustainability 10. Whoever scores below 60 agrees a plan for improvement over six
months. A second score below 60 in a row ends the relationship, unless the managing director
decides otherwise in writing.

## Conflicts of interest

Tell the head of procurement before you deal with a company in which you, your family or a close
friend has an interest. You then take no part in the decision. Presents are governed by the
Expenses Policy; during a running tender nothing at all is accepted, not even lunch.

## Records

Offers, scoring sheets and contracts are kept for ten years in the contract archive. A contract
that renews itself is entered with a reminder four months before the last day on which it can be
cancelled.
"""

ONBOARDING_GUIDE = """\
# Onboarding Guide

Welcome to Quillmere Instruments. This guide takes you through your first six months. Owner:
people team; edition of February 2025.

## Before your first day

Your contract, the tax form and the form for your bank details should be back with the people team
ten days before you start. Your line manager orders your laptop and names a buddy: a colleague
from another team who shows you around and answers the questions that you do not want to ask your
manager.

## Your first day

Come to the reception in Aldmoor or Orrindale at 09:30, not earlier: the people who welcome you
are still in their morning meeting. Bring an identity card and, if you will work in the
laboratory, your vaccination record. The day goes as follows:

1. Reception: photograph, badge, locker key.
2. IT counter: laptop, hardware key, first sign-in. Allow an hour.
3. Safety tour of the building with the safety officer. Nobody enters the plant without it.
4. Lunch with your buddy and your team. The company pays.
5. Talk with your line manager about the first two weeks.
6. 16:00: coffee with everyone else who started this month.

## Your first weeks

- Week 1: read the product specification of Siltwarden 4 and assemble one in the hatchery, under
  supervision. Everyone does, accountants included. You may keep the assembly drawing with your
  signature.
- Week 2: spend a day with customer support in Port Carrow and listen to calls.
- Week 3: visit a measuring station with the field team.
- Week 4: present to your team, in ten minutes, one thing that puzzled you and how it could be
  better.

## Training that everyone needs

Table 1. Courses and deadlines

| Course | Who | Length | Complete within |
| Safety tour | everyone | 1 hour | first day |
| Information security basics | everyone | 90 minutes | 10 working days |
| Fair dealing and bribery | everyone | 45 minutes | 30 days |
| How turbidity is measured | everyone | half a day | 60 days |
| Calibration practice | engineering, quality, support | 2 days | 90 days |
| Handling of chemicals | laboratory and production | 3 hours | before working with any |
| Leading people | new managers | 3 days | 6 months |

Those who have not passed Information security basics in time lose access to everything but mail
and the course itself.

## Probation

Probation lasts six months. You and your line manager talk about it formally in weeks 6, 12 and
22, with notes that both sign. There should be no surprise in week 22. During probation either
side may end the contract with two weeks' notice; afterwards the notice period is two months.

Goals are agreed for 30, 60 and 90 days. The first are about learning, the second about
contributing, the third about owning something.

## Money and benefits

Salaries are paid on the 25th of the month. In your first month, changes that reach payroll by the
12th are still included.

- The canteen charges EUR 4.50 less for each lunch than the dish costs.
- The company pays 70 percent of a public transport pass, or leases you a bicycle.
- The pension plan starts after probation: you pay 2 percent of your salary, the company adds 5.
- If you recommend someone who is hired, you receive EUR 1,500 once that person has passed
  probation.
- Employees may borrow any instrument for a weekend. Many have measured their garden pond.

## Where to find things

Leave, remote work, travel and expenses each have a policy on the intranet; words that you do not
understand are probably in the glossary. Feedback about this guide is welcome: after three months
the people team will ask you for one page that should be added and one that should go.
"""

SECURITY_POLICY = """\
# Information Security Policy

Owner: security officer. Version 11, in force since 15 January 2025. Applies to employees,
temporary staff and contractors with access to our systems.

## Why this matters

Water works rely on our readings to decide what people drink. Somebody who changes them unnoticed
can do harm. That is why we protect our products, our customers' data and ourselves with equal
care.

## Classes of information

Every document has one of four classes. What bears no mark is Internal.

Table 1. Classes and how to handle them

| Class | Examples | Where it may be kept | Sending it outside |
| Public | press releases, data sheets | anywhere | freely |
| Internal | policies, minutes, calculations | company systems | under a secrecy agreement |
| Confidential | contracts, personnel data | named readers only | encrypted, if the owner agrees |
| Restricted | firmware signing keys | the vault, never a laptop | by the security officer only |

## Passphrases and sign-in

A passphrase has at least 16 characters. It is not changed by the calendar, only when there is a
suspicion. Use the password manager that comes with your laptop; no passphrase is used twice.

Signing in needs a second factor: the app for most of us, a hardware key for administrators,
finance and everyone who can release firmware. Messages to a phone number are not accepted as a
second factor.

## Devices

- The screen locks after five minutes.
- Disks are encrypted; a device that is not encrypted is shut out of the network.
- Updates are installed within seven days, critical ones within 48 hours.
- USB sticks are blocked. In the plant, white sticks issued by the service desk may be used to
  bring firmware to machines; they are scanned at the kiosk first.
- Phones for private use may hold company mail once they are enrolled.

## Lost or stolen

Report a lost laptop, phone, badge or hardware key within two hours of noticing it, at any time of
day, to extension 4999. The device is erased from afar. Nobody has ever been reprimanded for
losing something; late reports, however, are looked into.

## Suspicious messages

Use the button Report in the mail program. The security team answers each report within one
working day. Exercises take place once a quarter. In the last one, 7 percent opened the attachment
and 61 percent reported the message. Names are not recorded.

## Artificial intelligence

The assistant in the intranet is approved for Public and Internal information. Other services may
be used with Public information only. Nobody pastes customer contracts, personnel data or source
code of firmware into any assistant. What an assistant wrote is reviewed by a person before it
leaves the company.

## Access

Access follows the role and is reviewed by the owners of systems every six months. Accounts of
leavers are closed by 18:00 on their last day. Suppliers work through a gateway that records the
session and opens for at most one day at a time.

## Backups

Systems of class Confidential and above are backed up daily. Backups are kept for 35 days, one
copy of them in another building and without connection to the network. Twice a year we restore a
system drawn by lot and measure how long it takes. The last test took five hours; the target is
eight.

## Incidents

Whoever notices an incident calls extension 4999. The security officer decides about the severity
and names a skipper. Authorities are informed within 24 hours where the law asks for it, and
affected customers within 72 hours in any case. Every incident ends with a written review that
blames nobody.

## Exceptions

Exceptions are granted by the security officer in writing, for 90 days at most. They appear in a
register that the audit committee reads.
"""

SAFETY_MINUTES = """\
# Safety Committee Orrindale: Minutes of 20 March 2025

Present: plant manager (chair), safety officer, occupational physician, two delegates of the works
council, head of maintenance, shift lead of assembly. Excused: head of the calibration laboratory.
Length: 75 minutes. Next meeting: 19 June 2025.

## 1. Events since December

The safety officer reported on the quarter. One accident led to lost time: a technician slipped on
the wet grating at the test basin and sprained a wrist; nine days of absence.

Table 1. Events from 1 December 2024 to 28 February 2025

| Kind | This quarter | Quarter before |
| Accident with lost time | 1 | 0 |
| First aid | 6 | 9 |
| Near miss reported | 23 | 14 |
| Fire alarm, false | 2 | 1 |
| Chemical spill above 0.5 litres | 1 | 1 |

The committee was pleased with the number of near misses: more reports mean that people look. The
prize for the best report (a dinner for two) goes to the goods receiving team, who noticed that
the straps of the high shelf had aged.

## 2. Test basin

Two more people have slipped at the same place without being hurt. The grating will be replaced by
one with a rough coating. Until then a rubber mat is laid and the passage on the north side is
closed.

## 3. Evacuation exercise of 5 February

The building was empty after 4 minutes and 50 seconds; the target is 4 minutes. The delay arose at
door B3, where two pallets stood in the way, and because visitors did not know the assembly point.
In future the ground before all emergency doors is painted red, and reception hands each visitor a
card with a map. The exercise is repeated in May without notice.

## 4. Isopropanol in the cleaning room

At the inspection 46 litres were found; 20 are permitted outside the solvent cabinet. The quantity
has grown with production. The committee decided on a daily supply of 15 litres in safety cans,
and a second cabinet with extraction. The occupational physician asks for a measurement of the air
once the cabinet is in place.

## 5. Noise

The new milling cell reaches 86 dB(A) at the operator's place with the door open, 74 with it
closed. Hearing protection is compulsory within four metres whenever the door is open. Maintenance
is to check whether an interlock can slow the spindle down.

## 6. First aiders and fire wardens

There are 14 trained first aiders; with the late shift 16 are needed. Two volunteers from assembly
have come forward. Six fire wardens have to renew their certificate by the end of May.

## 7. Forklifts

The works council asks for a separation of paths in hall 2. A trial with a one-way lane during the
week of 7 April was agreed. The speed limit of 6 km/h remains.

## Actions

Table 2. Actions agreed

| No. | Action | Responsible | Until |
| 1 | Replace the grating at the test basin | head of maintenance | 30 April |
| 2 | Paint the ground before emergency doors | head of maintenance | 11 April |
| 3 | Visitor card with map | safety officer | 4 April |
| 4 | Order second solvent cabinet | plant manager | 16 May |
| 5 | Examine the interlock at the milling cell | head of maintenance | 19 June |
| 6 | Register two people for the first-aid course | safety officer | 31 March |
| 7 | Evaluate the one-way lane in hall 2 | works council delegates | 2 May |
"""

SERVICE_LEVELS = """\
# Support Plans and Service Levels

Annex C to the general terms. Owner: head of customer support. Valid for contracts from 1 January
2025. Covers Brookledger, Reedgate gateways and Siltwarden probes.

## Plans

Every customer has the plan Stream. The plans River and Delta are booked per year and cover all
stations of the customer.

Table 1. What the plans contain

| Item | Stream | River | Delta |
| Hours of support | workdays, 9:00 to 17:00 | workdays, 7:00 to 20:00 | day and night, all week |
| Languages | English | English and one more | English and two more |
| Price per station and year | included | EUR 48 | EUR 115 |
| Visits on site | at cost | two a year | six a year |
| Named engineer | no | no | yes |
| Review meeting | none | yearly | quarterly |

## Response times

We promise when a competent person begins to work, and how often you hear from us. A time to
repair cannot be promised honestly, so we publish our record instead.

Table 2. First response by severity

| Severity | Meaning | Stream | River | Delta |
| 1 | no data or no alarms at several stations | 8 hours | 2 hours | 20 minutes |
| 2 | one station without data, or wrong readings | 2 days | 8 hours | 2 hours |
| 3 | a function is impaired, there is a way around it | 5 days | 2 days | 8 hours |
| 4 | question or wish | 10 days | 5 days | 2 days |

Hours and days count within the hours of support of the plan. Severity is chosen by the customer;
support may change it after talking to the customer.

## Availability of Brookledger

Brookledger is available when it accepts measurements and evaluates alarms. We measure it once a
minute from outside. Maintenance that was announced seven days before, up to four hours a month,
does not count.

Table 3. Credits by availability in a month

| Availability | Credit, share of the monthly fee |
| 99.8 % and more | none |
| 99.5 % to below 99.8 % | 5 % |
| 99.0 % to below 99.5 % | 15 % |
| 97.0 % to below 99.0 % | 40 % |
| below 97.0 % | 100 % |

Credits are given without asking, with the next invoice but one. In a contract year they do not
exceed three monthly fees. A customer who receives credits for three months in a row may leave the
contract with 30 days' notice.

## Service in the field

Engineers start from Port Carrow. With River we are on site within five working days, with Delta
within two. Stations that can be reached only by boat, helicopter or on foot for more than an hour
need a safety plan by the customer. A visit in vain because nobody could open the gate is charged
with EUR 380.

## Spare parts

Spare parts are kept for at least five years after the last day of sale. Wiper blades, seals and
antennas are sent on the same day if they are ordered before 14:00. Customers with Delta may keep
a chest of spare parts at their site; they pay for what they take.

## Data

Measurements belong to the customer. They are kept for as long as the contract lasts, and can be
downloaded for 90 days after its end in open formats. After that they are erased, and we confirm
it in writing. We use readings for improving products only where the customer has agreed.

## Escalation

- First step: the leader of the support shift.
- Second step, after twice the time of response: the head of customer support.
- Third step: the managing director, whose number is on the first page of the contract.
"""

PDFS = {
    "quarterly-report-2025-q1.pdf": (QUARTERLY_REPORT, "Unaudited"),
    "research-note-31-fouling.pdf": (RESEARCH_NOTE, "Internal"),
    "procurement-policy.pdf": (PROCUREMENT_POLICY, "Internal, version 5"),
}
DOCXS = {
    "onboarding-guide.docx": (ONBOARDING_GUIDE, "Edition of February 2025"),
    "information-security-policy.docx": (SECURITY_POLICY, "Internal, version 11"),
    "safety-committee-minutes-2025-03.docx": (SAFETY_MINUTES, "Internal"),
    "support-service-levels.docx": (SERVICE_LEVELS, "Annex C to the general terms"),
}


def main(folder: Path) -> None:
    """Write all seven files into a folder that exists."""
    for name, (source, footer) in PDFS.items():
        write_pdf(folder / name, list(read_blocks(source)), footer)
    for name, (source, footer) in DOCXS.items():
        write_docx(folder / name, list(read_blocks(source)), footer)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent / "samples")
