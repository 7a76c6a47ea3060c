"""What was read of rows is given again while they are the same, and takes so much room at most."""

from listserver.edges.sqlite_known import Known


def test_a_value_is_good_while_its_row_is_the_same() -> None:
    known = Known[str]()
    assert known.get(b"n", b"row") is None
    known.put(b"n", b"row", "read")
    assert known.get(b"n", b"row") == "read"
    assert known.get(b"n", b"ROW") is known.get(b"m", b"row") is None
    known.put(b"n", b"ROW", "read anew")
    assert known.get(b"n", b"ROW") == "read anew"
    assert known.get(b"n", b"row") is None


def test_where_there_is_no_room_the_latest_stays() -> None:
    known = Known[int](octets=10)
    for number in range(3):
        known.put(b"%d" % number, b"12345", number)
    assert [known.get(b"%d" % number, b"12345") for number in range(3)] == [None, None, 2]
    known.put(b"2", b"123456", 2)
    known.put(b"3", b"1234", 3)
    assert [known.get(b"2", b"123456"), known.get(b"3", b"1234")] == [2, 3]


def test_where_the_first_stay_others_are_not_kept_until_there_is_room_again() -> None:
    known = Known[int](octets=10, first_stay=True)
    for number in range(3):
        known.put(b"%d" % number, b"12345", number)
    assert [known.get(b"%d" % number, b"12345") for number in range(3)] == [0, 1, None]
    known.put(b"1", b"123456", 1)
    known.put(b"3", b"1234", 3)
    assert [known.get(b"0", b"12345"), known.get(b"1", b"123456")] == [0, None]
    assert known.get(b"3", b"1234") == 3


def test_a_row_that_is_too_large_is_not_kept() -> None:
    known = Known[int](octets=10)
    known.put(b"n", b"12345678901", 1)
    assert known.get(b"n", b"12345678901") is None
    known.put(b"m", b"1234567890", 2)
    assert known.get(b"m", b"1234567890") == 2
