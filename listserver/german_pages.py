"""What pages say, in German: `english_pages.TEXTS`, name by name."""

from collections.abc import Mapping
from typing import Final

TEXTS: Final[Mapping[str, str]] = {
    "page-footer": "Vertrauliche Mailinglisten von {domain}",
    "page-start-title": "Mailinglisten von {domain}",
    "page-start": "Vertrauliche Mailinglisten",
    "page-start-lead": (
        "Dieser Server befördert die Mailinglisten von <strong>{domain}</strong>. Er kann nicht"
        " lesen, was an sie geschrieben wird, und verrät niemandem, wer auf ihnen ist."
    ),
    "page-how": "So funktioniert es",
    "page-how-write": (
        "Wer schreibt, verschlüsselt die Mail an den Schlüssel der Liste, auf dem eigenen Gerät."
    ),
    "page-how-copy": (
        "Jedes Mitglied bekommt eine Kopie, die nur mit seinen eigenen Schlüsseln zu öffnen ist."
    ),
    "page-how-hidden": (
        "Mitglieder sehen einander nicht. Nur die Verwaltung einer Liste weiß, wer auf ihr ist."
    ),
    "page-lists": "Listen",
    "page-begin": "So fangen Sie an",
    "page-begin-profile": (
        "Installieren Sie das Programm <code>recrypt</code>, und legen Sie sich ein Profil an:"
    ),
    "page-begin-join": (
        "Bitten Sie dann um Aufnahme in eine Liste, mit ihrem Namen und dem Fingerabdruck, der"
        " Ihnen genannt wurde:"
    ),
    "page-operator": (
        "Wer diesen Server betreibt, ist unter <a href='mailto:{address}'>{address}</a> zu"
        " erreichen."
    ),
    "page-list-title": "{list}: eine vertrauliche Mailingliste",
    "page-list-lead": (
        "Eine vertrauliche Mailingliste: Dieser Server befördert ihre Mail und kann sie nicht"
        " lesen. Mitglieder sehen einander nicht."
    ),
    "page-fingerprint": "Fingerabdruck",
    "page-fingerprint-code": "QR-Code des Fingerabdrucks {fingerprint}",
    "page-fingerprint-compare": (
        "Vergleichen Sie ihn mit dem, was Ihnen jemand sagt, dem Sie vertrauen, persönlich oder am"
        " Telefon. Diese Seite kommt vom Server und beweist für sich nichts."
    ),
    "page-join": "Mitglied werden",
    "page-join-program": "Mit dem Programm <code>recrypt</code>:",
    "page-join-mail": (
        "Oder schreiben Sie an <a href='mailto:{address}'>{address}</a>, und fügen Sie Ihr"
        " Profil an, die Datei, die <code>recrypt profile show --out me.json</code> schreibt. So"
        " oder so kommt ein Brief an Ihre Adresse; wenn Sie ihn beantwortet haben,"
        " entscheidet die Verwaltung der Liste."
    ),
    "page-write": "An die Liste schreiben",
    "page-write-key": (
        "Mail an <a href='mailto:{address}'>{address}</a> muss an die Liste"
        " verschlüsselt sein: Was es nicht ist, wird abgewiesen und nicht aufbewahrt. Holen Sie"
        " einmal den Schlüssel, und verschlüsseln Sie dann eine Nachricht:"
    ),
    "page-write-send": (
        "Senden Sie <code>post.eml</code> mit Ihrem Mailprogramm. Wer schreiben darf, bestimmt die"
        " Verwaltung der Liste."
    ),
    "page-key": "Schlüssel der Liste zurzeit",
    "page-key-name": "Schlüssel",
    "page-key-until": "Gültig bis",
    "page-key-over": (
        "Die Frist ist vorbei: Programme verschlüsseln nicht an diesen Schlüssel, bis die"
        " Verwaltung ihn neu signiert."
    ),
    "page-addresses": "Adressen",
    "page-address-posts": "Beiträge",
    "page-address-help": "Hilfe und Befehle",
    "page-address-join": "Mitglied werden",
    "page-address-key": "Schlüssel per Mail",
    "page-address-owner": "Verwaltung der Liste",
    "page-list-leave": (
        "Zum Verlassen benutzen Sie den Link oder die Adresse in einer beliebigen Kopie, die Sie"
        " haben: Ihr Mailprogramm zeigt sie vielleicht als „Abmelden“."
    ),
    "page-the-list": "die Liste",
    "page-leave-title": "Die Liste verlassen?",
    "page-leave": "Verlassen: {which}?",
    "page-leave-what": (
        "Noch hat sich nichts geändert. Mit dem Knopf bekommt das Mitglied, aus dessen Kopie dieser"
        " Link stammt, keine Mail von der Liste mehr."
    ),
    "page-leave-button": "Liste verlassen",
    "page-leave-undo": (
        "Eine Kopie kann weitergegeben worden sein, und ihr Link mit ihr. Darum schreiben wir einen"
        " Brief an die Adresse des Mitglieds: {days} Tage lang macht dessen Link dies rückgängig."
    ),
    "page-left": "Sie verlassen die Liste",
    "page-left-if": "Wenn Ihr Link aus einer Kopie stammt, die die Liste geschickt hat:",
    "page-left-now": (
        "Ab jetzt geht keine Mail mehr an dieses Mitglied. Eine Kopie, die unterwegs ist, kann noch"
        " ankommen."
    ),
    "page-left-letter": (
        "An die Adresse des Mitglieds geht ein verschlüsselter Brief mit einem Link, der dies"
        " rückgängig macht."
    ),
    "page-left-final": (
        "Nach {days} Tagen ist es endgültig, und die Verwaltung nimmt das Mitglied von der Liste."
    ),
    "page-close": "Sie können diese Seite schließen.",
    "page-stay-title": "Auf der Liste bleiben?",
    "page-stay": "Bleiben: {which}?",
    "page-stay-what": (
        "Über einen Link in einer Ihrer Kopien hat jemand darum gebeten, dass Sie die Liste"
        " verlassen. Mit dem Knopf wird das rückgängig gemacht, und die Mail der Liste kommt wieder"
        " zu Ihnen."
    ),
    "page-stay-button": "Auf der Liste bleiben",
    "page-stay-else": "Möchten Sie die Liste verlassen, dann ist nichts zu tun.",
    "page-stayed": "Sie bleiben auf der Liste",
    "page-stayed-if": (
        "Wenn Ihr Link aus unserem Brief stammt und Sie ihn innerhalb von {days} Tagen benutzt"
        " haben, kommt die Mail der Liste wieder zu Ihnen. Links zum Verlassen in älteren Kopien"
        " wirken nicht mehr."
    ),
    "page-stayed-missed": (
        "Mail, die inzwischen an die Liste kam, ist nicht verloren: Deren Verwaltung kann Ihnen"
        " schicken, was Sie verpasst haben."
    ),
    "page-404": "Hier ist nichts",
    "page-404-advice": "Sehen Sie sich die Adresse noch einmal an: Vielleicht fehlt ein Teil.",
    "page-405": "Das geht auf andere Weise",
    "page-405-advice": "Öffnen Sie die Seite in einem Browser, und benutzen Sie, was auf ihr ist.",
    "page-408": "Das hat zu lange gedauert",
    "page-408-advice": "Es ist nichts geschehen. Bitte versuchen Sie es noch einmal.",
    "page-413": "Das ist zu viel",
    "page-413-advice": (
        "Es ist nichts geschehen. Öffnen Sie die Seite in einem Browser, und benutzen Sie ihren"
        " Knopf."
    ),
    "page-503": "Hier gibt es eine Störung",
    "page-503-advice": (
        "Bitte versuchen Sie es später noch einmal; worum Sie gebeten haben, ist vielleicht noch"
        " nicht geschehen."
    ),
}
