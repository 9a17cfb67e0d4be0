"""What the support desk of the demonstration knows, and what people ask it."""

from __future__ import annotations

from typing import Final

__all__ = ["ANSWERS", "QUESTIONS"]

ANSWERS: Final = (
    ("How do I reset my password?", "Settings, Security, Reset password."),
    ("Where can I see my invoices?", "Billing, Invoices; the newest comes first."),
    ("How long does shipping take?", "Three to five working days."),
    ("How do I return an item?", "Print the label under Orders, Return; it is free for 30 days."),
    ("Which payment methods do you take?", "Cards, bank transfer and METIS."),
    ("How do I close my account?", "Settings, Account, Close; your data is deleted in 30 days."),
    ("Do you have a student discount?", "20 % with the address of a university."),
    ("How can I talk to a person?", "Chat from 9 to 17 hours, or call the number under Contact."),
)
"""A question that each answer was taught with, and the answer."""

QUESTIONS: Final = (
    ("I forgot my login credentials", 0),
    ("my password does not work any more", 0),
    ("show me my bills", 1),
    ("I need a receipt for my tax declaration", 1),
    ("when will my parcel arrive", 2),
    ("is the delivery fast", 2),
    ("the shoes do not fit, I want my money back", 3),
    ("can I send the product back", 3),
    ("may I pay by credit card", 4),
    ("can I use crypto to pay", 4),
    ("please delete my profile", 5),
    ("I want to cancel my membership", 5),
    ("is it cheaper for university students", 6),
    ("any discounts for people who study", 6),
    ("I would like to speak with a human", 7),
    ("what is your phone number", 7),
)
"""In other words, with the place of the answer that a person would give."""
