"""What pages say, in English, by name: HTML, into which values are filled in escaped."""

from collections.abc import Mapping
from typing import Final

TEXTS: Final[Mapping[str, str]] = {
    "page-footer": "Confidential mailing lists of {domain}",
    "page-start-title": "Mailing lists of {domain}",
    "page-start": "Confidential mailing lists",
    "page-start-lead": (
        "This server carries the mailing lists of <strong>{domain}</strong>. It can’t read what is"
        " written to them, and it tells nobody who is on them."
    ),
    "page-how": "How it works",
    "page-how-write": "Who writes encrypts the mail to the list’s key, on their own machine.",
    "page-how-copy": "Each member gets a copy that opens with that member’s keys alone.",
    "page-how-hidden": (
        "Members don’t see each other. Only a list’s administrators know who is on it."
    ),
    "page-lists": "Lists",
    "page-begin": "How to start",
    "page-begin-profile": "Install the <code>recrypt</code> program, and make yourself a profile:",
    "page-begin-join": (
        "Then ask to join a list, by its name and the fingerprint that you were told:"
    ),
    "page-operator": "Who runs this server answers at <a href='mailto:{address}'>{address}</a>.",
    "page-list-title": "{list}: a confidential mailing list",
    "page-list-lead": (
        "A confidential mailing list: this server carries its mail and can’t read it. Members"
        " don’t see each other."
    ),
    "page-fingerprint": "Fingerprint",
    "page-fingerprint-code": "QR code of the fingerprint {fingerprint}",
    "page-fingerprint-compare": (
        "Compare it with what somebody tells you whom you trust, in person or on the telephone."
        " This page comes from the server and proves nothing by itself."
    ),
    "page-join": "Join",
    "page-join-program": "With the <code>recrypt</code> program:",
    "page-join-mail": (
        "Or write to <a href='mailto:{address}'>{address}</a> with your profile attached, the file"
        " that <code>recrypt profile show --out me.json</code> writes. Either way a letter"
        " comes to your address; when you have answered it, the list’s administrators decide."
    ),
    "page-write": "Write to it",
    "page-write-key": (
        "Mail to <a href='mailto:{address}'>{address}</a> must be encrypted to the list:"
        " what isn’t is refused, and not kept. Get the key once, then seal a message:"
    ),
    "page-write-send": (
        "Send <code>post.eml</code> with your mail program. Who may write, the list’s"
        " administrators say."
    ),
    "page-key": "Its key now",
    "page-key-name": "Key",
    "page-key-until": "Good until",
    "page-key-over": (
        "It is over: programs don’t encrypt to this key until an administrator signs it again."
    ),
    "page-addresses": "Addresses",
    "page-address-posts": "Posts",
    "page-address-help": "Help and commands",
    "page-address-join": "To join",
    "page-address-key": "The key, by mail",
    "page-address-owner": "Its administrators",
    "page-list-leave": (
        "To leave, use the link or the address in any copy that you have: your mail program may"
        " show it as “Unsubscribe”."
    ),
    "page-the-list": "the list",
    "page-leave-title": "Leave the list?",
    "page-leave": "Leave {which}?",
    "page-leave-what": (
        "Nothing has changed yet. With the button, the member whose copy this link is from gets no"
        " more mail from the list."
    ),
    "page-leave-button": "Leave the list",
    "page-leave-undo": (
        "A copy may have been passed on, and its link with it. So we write a letter to the"
        " member’s address: for {days} days its link undoes this."
    ),
    "page-left": "You are leaving the list",
    "page-left-if": "If your link is from a copy that the list sent:",
    "page-left-now": (
        "No more mail goes to that member, from now on. A copy that is under way may still come."
    ),
    "page-left-letter": (
        "A letter goes to the member’s address, encrypted, with a link that undoes this."
    ),
    "page-left-final": (
        "After {days} days it is final, and the list’s administrators take the member off the list."
    ),
    "page-close": "You can close this page.",
    "page-stay-title": "Stay on the list?",
    "page-stay": "Stay on {which}?",
    "page-stay-what": (
        "Somebody asked that you leave the list, by a link in one of your copies. With the button"
        " that is undone, and mail from the list comes to you again."
    ),
    "page-stay-button": "Stay on the list",
    "page-stay-else": "If you want to leave, you needn’t do anything.",
    "page-stayed": "You stay on the list",
    "page-stayed-if": (
        "If your link is from our letter, and you used it within {days} days, mail from the list"
        " comes to you again. Links to leave in older copies don’t work any more."
    ),
    "page-stayed-missed": (
        "Mail that came to the list meanwhile isn’t lost: its administrators can send you what you"
        " missed."
    ),
    "page-404": "There is nothing here",
    "page-404-advice": "Look at the address again: a part of it may be missing.",
    "page-405": "This is done in another way",
    "page-405-advice": "Open the page in a browser, and use what is on it.",
    "page-408": "That took too long",
    "page-408-advice": "Nothing was done. Please try again.",
    "page-413": "That is too much",
    "page-413-advice": "Nothing was done. Open the page in a browser, and use its button.",
    "page-503": "There is trouble here",
    "page-503-advice": "Please try again later; what you asked may not be done yet.",
}
