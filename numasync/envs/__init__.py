"""Environments by id. Importing this loads neither gymnasium nor ale_py; asking for one of theirs does."""

from numasync.envs.cartpole import CARTPOLE
from numasync.envs.catch import CATCH
from numasync.envs.minatar import MINATAR

JITTED = {env.spec.id: env for env in (CARTPOLE, CATCH, *MINATAR)}


def make_env(env_id, life_loss=False):
    """A JittedEnv, an AtariEnv or a GymEnv, all with spec, reset, step, state_size, jitted and close.

    A jitted twin is used where there is one; 'gymnasium:CartPole-v1' (Gymnasium's own module:id form) asks for
    Gymnasium's. life_loss concerns Atari alone. Raises InputError, in one sentence, where there is no such
    environment or its spaces are not supported.
    """
    if env_id in JITTED:
        return JITTED[env_id]
    from numasync.envs.atari import AtariEnv, atari_id
    from numasync.envs.gym import GymEnv

    game_id = atari_id(env_id)
    return AtariEnv(env_id, game_id, life_loss) if game_id else GymEnv(env_id)
