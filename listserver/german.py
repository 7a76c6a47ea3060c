"""What the server mails to people, in German: `english.TEXTS`, name by name."""

from collections.abc import Mapping
from typing import Final

TEXTS: Final[Mapping[str, str]] = {
    # --- letters to members and to who wants to be one
    "asking": """\
{name}: Möchten Sie auf die Liste?

Wer die Schlüssel hat, mit denen dies zu öffnen ist, hat darum gebeten,
dass {account} Mitglied
der Liste {list} wird.

Waren Sie das, dann speichern Sie diese Mail als BRIEF, so wie sie kam oder
geöffnet, und rufen Sie innerhalb von {days} Tagen auf:

  recrypt join {list} --token BRIEF

Das schickt die folgende Zeile zurück, die einmal gilt
(mit --by-mail schreibt es eine Mail, die das tut):

  {token}

In Thunderbird, mit der Erweiterung „Recrypt for Thunderbird“, öffnen Sie statt
dessen diese Mail und drücken „Yes, I want to be on the list“.

Danach entscheidet die Verwaltung der Liste. Waren Sie es nicht, dann ist
nichts zu tun.
""",
    "goodbye": """\
{name}: Sie sind nicht mehr auf der Liste

Sie sind als {account} nicht mehr Mitglied der Liste
{list} und bekommen nichts mehr von ihr. Davon erfährt
niemand außer ihrer Verwaltung.

Kopien, die Sie haben, können Sie lesen wie zuvor, wenn Sie Ihre Schlüssel
behalten.

Um wieder um Aufnahme zu bitten: recrypt join {list}
""",
    "in-vain": """\
{name}: Ihr Beitrag hat niemanden erreicht

Ihr Beitrag an {list} wurde angenommen, konnte aber niemandem
zugestellt werden.

  {post}

Die Verwaltung der Liste weiß davon. Sie können ihn später noch einmal senden
oder dort nachfragen.
""",
    "invitation": """\
{name}: Einladung zu einer vertraulichen Mailingliste

Aus der Verwaltung der Mailingliste {list}
werden Sie, {account}, dorthin eingeladen. Was auf ihr
geschrieben wird, können nur ihre Mitglieder lesen, und niemand erfährt, wer
sie sind.

Um Mitglied zu werden, rufen Sie mit dem Programm `recrypt` einmal auf

  recrypt profile create {account}

falls Sie noch kein Profil haben, das diese Adresse als erste hat (dafür sorgt
sonst `recrypt profile address`), und dann, wenn Sie diese ganze Mail als BRIEF
gespeichert haben,

  recrypt join --invitation BRIEF

In Thunderbird, mit der Erweiterung „Recrypt for Thunderbird“, öffnen Sie statt
dessen diese Mail und drücken „Join this list“.

Es findet die Einladung an der folgenden Zeile, die {days} Tage lang und für
eine Person gilt:

{token}

Behalten Sie sie für sich: Wer sie hat, kann an Ihrer Stelle um Aufnahme
bitten. Möchten Sie nicht Mitglied werden, dann ist nichts zu tun; niemand
erfährt davon.
""",
    "leaving": """\
{name}: Sie verlassen die Liste

Über einen Link in einer Kopie, die Sie von der Liste {list}
haben, hat jemand darum gebeten, dass Ihnen nichts mehr geschickt wird. Ab
jetzt geschieht das nicht mehr.

Waren Sie das, dann ist nichts zu tun: In {days} Tagen haben Sie die Liste
verlassen. Waren Sie es nicht, oder möchten Sie bleiben, dann öffnen Sie in
dieser Zeit die Seite

  {page}

oder senden Sie eine Mail, mit beliebigem Inhalt, an

  {address}

oder rufen Sie auf: recrypt mail {list} on

Dann kommt wieder Mail, und die Links in früheren Kopien bewirken nichts mehr.
Was inzwischen kam, kann Ihnen die Verwaltung der Liste schicken.
""",
    "probe": """\
{name}: Funktioniert Ihre Adresse?

Mail der Liste {list} an Sie kam mehrmals zurück.
Wenn Sie dies lesen können, funktioniert Ihre Adresse wieder, und es ist nichts
zu tun. Kommt auch dies zurück, dann schickt Ihnen die Liste nichts mehr, bis
ihre Verwaltung Ihre Mail wieder einschaltet.
""",
    "rejected": """\
{name}: Ihr Beitrag wurde nicht angenommen

Ihr Beitrag an {list} wartete auf eine Entscheidung,
und die Verwaltung der Liste hat ihn abgelehnt. Sonst hat ihn niemand bekommen.

  {post}
""",
    "welcome": """\
{name}: Willkommen auf der Liste

Sie sind jetzt Mitglied der Liste {list}, als {account}.
Davon erfährt niemand außer ihrer Verwaltung. Kopien dessen, was an die Liste
geschrieben wird, kommen an diese Adresse; `recrypt read` zeigt sie an. In
Thunderbird öffnet sie die Erweiterung „Recrypt for Thunderbird“; an die Liste
schreiben Sie dort wie jede andere Mail.

  Dienst:        {service}
  Fingerabdruck: {identifier}

Vergleichen Sie den Fingerabdruck mit dem, was Ihnen die Verwaltung auf anderem
Weg sagt. Wo die Liste noch nicht bekannt ist:

  recrypt key {list} --service {service} \\
    --fingerprint {identifier}

So schreiben Sie an die Liste, lesbar nur für ihre Mitglieder:

  recrypt seal --to {list} --from {account}

macht aus der Mail auf der Standardeingabe eine verschlüsselte. Wenn Sie eine
Zeit lang keine Mail möchten, oder die Liste verlassen wollen:

  recrypt mail {list} off
  recrypt leave {list}

Halten Sie eine Sicherung Ihrer Schlüssel bereit: recrypt profile export DATEI.
Ohne sie kann Ihnen niemand, auch nicht die Verwaltung, lesbar machen, was Sie
haben.
""",
    # --- letters to administrators
    "owner-mail": """\
{name}: Mail an die Verwaltung der Liste

{sender} hat anscheinend an die Verwaltung von
{list} geschrieben. Was kam, ist angefügt; nichts davon ist
bewiesen.
""",
    "troubles-asking": """\
wer Mitglied werden möchte: {count}

Wer Mitglied von {list} werden möchte und auf Antwort wartet: {count}.
Ansehen, und aufnehmen oder ablehnen:
  recrypt requests {list}
  recrypt approve {list} ADRESSE
  recrypt deny {list} ADRESSE
""",
    "troubles-waiting": """\
Beiträge, die auf eine Entscheidung warten: {count}

Beiträge an {list}, die auf eine Entscheidung warten: {count}.
Wer die Liste verwaltet, hat von jedem eine Kopie. Ansehen und entscheiden:
  recrypt held {list}
  recrypt held {list} accept NUMMER
""",
    "troubles-stopped": """\
angehaltene Beiträge: {count}

Beiträge an {list}, die am Server gescheitert und angehalten sind: {count}.
Niemand bekommt weitere Kopien davon, bis sein Betreiber das behoben und
`listserver queue retry` aufgerufen hat.
""",
    "troubles-failed": """\
gescheiterte Kopien: {count}

Kopien von Beiträgen an {list}, die nicht zugestellt werden konnten:

{copies}

Sie werden nicht noch einmal versucht. Solange ein Beitrag aufbewahrt wird,
können Sie ihn erneut senden lassen:
  recrypt redeliver {list} ADRESSE --since DATUM
Was angehalten ist, ist am Server gescheitert; sein Betreiber sieht es mit
`listserver queue`.
""",
    "troubles-off": """\
Mitglieder ohne Mail: {count}

Mail an diese Mitglieder kam zu oft zurück und wird nicht mehr gesendet:

{members}

Wenn ihre Adresse wieder funktioniert:
  recrypt resume {list} ADRESSE
  recrypt redeliver {list} ADRESSE --since DATUM
""",
    "troubles-left": """\
Mitglieder, die gegangen sind: {count}

Diese Mitglieder haben die Liste verlassen und bekommen nichts mehr:

{members}

Sie können lesen, was sie haben, und sind Mitglieder, bis Sie das beenden:
  recrypt refresh {list}
""",
    "given-up": "aufgegeben",
    "held": "angehalten, da am Server gescheitert",
    "more-copies": "... und {count} weitere.",
    "more-members": "... und {count} weitere: recrypt members {list}",
    "post": "{message_id} vom {time} UTC",
    # --- answers of the desk, in clear: their subjects, and the parts that they are made of
    "subject-help": "{name}: Hilfe",
    "subject-join": "{name}: Mitglied werden",
    "subject-key": "{name}: der Schlüssel der Liste",
    "subject-leave": "{name}: die Liste verlassen",
    "desk-what": """\
{list} ist eine verschlüsselte Mailingliste: Was an sie
geschrieben wird, können nur ihre Mitglieder lesen; der Server, der es
weiterschickt, kann es nicht.

  Fingerabdruck: {fingerprint}
  Dienst:        {service}
  Seite:         {page}

Vergleichen Sie den Fingerabdruck mit dem, was Ihnen ihre Verwaltung auf
anderem Weg sagt.
""",
    "desk-key": """\
Um ihren Schlüssel zu bekommen, rufen Sie auf
  recrypt key {list} --service {service}
oder senden Sie eine leere Mail an {key}
""",
    "desk-key-use": """\
Der Schlüssel der Liste steht, signiert, in der angefügten Datei {file}.
Speichern Sie sie, und rufen Sie auf
  recrypt key {list} --service {service} \\
    --file {file} --fingerprint FINGERABDRUCK
Das prüft ihn vom Fingerabdruck an. Dann schreiben `recrypt seal` und
`recrypt encrypt` an die Liste. Das kann auch jede JOSE-Bibliothek, mit dem
EncryptionKey im Inhalt von SignedKey: ein JWE, ECDH-ES+A256KW und A256GCM, mit
dessen kid.
""",
    "desk-join": """\
Um Mitglied zu werden, rufen Sie auf
  recrypt join {list} --service {service}
Oder nur per Mail: Legen Sie mit `recrypt profile create` ein Profil an, und
senden Sie die Datei, die `recrypt profile show --out profile.json` schreibt, an
{subscribe}
(`recrypt join {list} --by-mail` schreibt diese Mail). An die
Adresse des Profils kommt ein Brief; beantworten Sie ihn, wie dort beschrieben.
Um per Mail zu antworten, brauchen Sie auch den Schlüssel der Liste: Eine leere
Mail an {key} bringt ihn.
Danach entscheidet die Verwaltung der Liste.
""",
    "desk-post": """\
Um an die Liste zu schreiben, verschlüsseln Sie an ihren Schlüssel:
  recrypt seal --to {list}
macht aus der Mail auf der Standardeingabe eine verschlüsselte. Was nicht
verschlüsselt ist, wird abgewiesen.
""",
    "desk-leave": """\
Um die Liste zu verlassen, rufen Sie auf: recrypt leave {list}
oder benutzen Sie den Link zum Abmelden in einer beliebigen Kopie, die Sie von
der Liste haben.
""",
    "desk-owner": """\
An die Verwaltung der Liste schreiben Sie hier: {owner}
Was unverschlüsselt dorthin kommt, wird schon bei der Ankunft für sie
verschlüsselt.
""",
    # --- beside the envelope in every copy
    "copy": """\
Diese Nachricht der Liste {list} ist verschlüsselt.
Der Teil message.mmx enthält sie so, dass nur Sie Ihre Kopie lesen können.

Zum Lesen speichern Sie diese Nachricht und rufen auf: recrypt read DATEI
""",
    "held-copy": """\
Diese Nachricht an die Liste {list} ist angehalten, als Nummer
{number}: Nur wer die Liste verwaltet, hat sie, bis dort jemand entscheidet.
Sie ist verschlüsselt.

Zum Lesen speichern Sie diese Nachricht und rufen auf: recrypt read DATEI
Dann entscheiden Sie: recrypt held {list} accept {post}
oder reject, was einem bewiesenen Absender mitgeteilt wird, oder discard.
""",
}
