"""A group's private keys in this home, and sealed in the group for its other administrators."""

from recrypt_client import changing, paths, sharing
from recrypt_client.chains import Desk
from recrypt_client.changing import Pace
from recrypt_client.errors import Trouble
from recrypt_client.home import Home
from recrypt_client.sharing import GroupKeys
from recrypt_core.chain import GroupState
from recrypt_core.documents import Privilege, RecryptionGroup
from recrypt_core.keys import PrivateKey
from recrypt_core.signature_keys import SignaturePrivateKey


def take(home: Home, state: GroupState) -> GroupKeys:
    """Find a group's private keys: those here, and those that AdministratorKeys have for us.

    What was only there is kept in the home. What isn't the key that it is named is passed over.
    """
    here = _here(home, state)
    if all(here.has(udf) for udf in sharing.names(state)):
        return here
    sealed = sharing.open_keys(state, home.device_keys())
    found: tuple[PrivateKey | SignaturePrivateKey, ...] = (*sealed.agreement, *sealed.online)
    for key in (*found, sealed.master):
        if key is not None and not here.has(key.public.udf):
            home.keep_key(key)
    return _here(home, state)


def group_key(home: Home, state: GroupState) -> PrivateKey:
    """Find the group's private key, which entries are split from.

    Raises:
        Trouble: if it isn't to be had.
    """
    here = home.agreement_key(state.key.udf)
    if here is not None:
        return here
    keys = take(home, state)
    if not keys.has(state.key.udf):
        raise Trouble(
            f"{home.root}: the private key of {state.name} isn't here, and the group's "
            "AdministratorKeys have none for you",
            "Use the home of the administrator who has it, with --home; or be added by one, with "
            f"recrypt add {state.name} PROFILE.json --privilege ADMIN",
        )
    return keys.agreement[0]


def online_key(home: Home, state: GroupState) -> SignaturePrivateKey:
    """Find a private key that signs for the group's Master day to day.

    Raises:
        Trouble: if there is none.
    """
    keys = take(home, state)
    if not keys.online:
        raise Trouble(
            f"{home.root}: no private key that signs for {state.name} is here, nor for you in the "
            "group's AdministratorKeys",
            "Use the home of an administrator who has one, with --home",
        )
    return keys.online[0]


def share(desk: Desk, state: GroupState, pace: Pace) -> GroupState:
    """Seal the group's keys anew if they aren't sealed to all its administrators, and only them.

    So too if what is sealed isn't what it should be. Who administers the group no more shares
    nothing, nor does anybody in a group that is closed.

    Raises:
        Trouble: if the service doesn't take it.
    """
    forget(desk.home, state)
    if state.is_closed or not state.may(desk.key.public.udf, Privilege.ADMIN, Privilege.SUPER):
        return state

    def write(state: GroupState) -> RecryptionGroup | None:
        keys = take(desk.home, state)
        if not keys.has(state.key.udf):
            return None  # who has no keys can't share them
        is_right = sharing.is_sealed_right(state, has_master=keys.master is not None)
        if is_right and are_whole(desk.home, state, keys):
            return None
        sealed = sharing.seal_for(state, keys)
        return RecryptionGroup(group_name=state.name, administrator_keys=sealed)

    return changing.update_group(desk, state, write, pace)


def are_whole(home: Home, state: GroupState, keys: GroupKeys) -> bool:
    """Tell whether AdministratorKeys hold these keys, as far as they are sealed to this home."""
    own = home.device_keys()
    sealed = sharing.open_keys(state, own)
    agreement = (key.public.udf for key in keys.agreement)
    signature = (key.public.udf for key in keys.online)
    wanted = {
        sharing.KEYS: (*agreement, *signature),
        sharing.MASTER: () if keys.master is None else (keys.master.public.udf,),
    }
    return all(
        all(sealed.has(udf) for udf in held)
        for cty, held in wanted.items()
        if not sharing.kids(state, cty).isdisjoint(each.public.udf for each in own)
    )


def forget(home: Home, state: GroupState) -> None:
    """Drop the private keys of the past, where nobody is to read it or has an entry for it."""
    wanted = sharing.agreement_names(state)
    for udf in (key.udf for key in state.past_keys if key.udf not in wanted):
        if all(each.entry_for(udf) is None for each in state.members.values()):
            home.drop(paths.key_file(udf))


def _here(home: Home, state: GroupState) -> GroupKeys:
    agreement = (home.agreement_key(udf) for udf in sharing.agreement_names(state))
    online = (home.signature_key(key.udf) for key in state.master.profile.online_signature_keys)
    return GroupKeys(
        tuple(key for key in agreement if key is not None),
        tuple(key for key in online if key is not None),
        home.signature_key(state.identifier),
    )
