"""What other libraries call the options of a run and their values: for the hints in messages.

A table has names in lower case, with `_` for `-`. A value with a space in it is a phrase: nothing here is quite the
same, and the phrase says what to do.
"""

ONE_LOSS = "leave it out, the value has a fixed weight in the loss"
NO_MEMORY = "leave it out, numasync keeps no replay memory and learns from each segment once"
NO_PPO = "leave it out, it belongs to PPO"
NO_GPU = "leave it out, numasync computes on the cores of the processor"
NO_PICTURES = "leave it out, numasync watch shows pictures"

# The options of stable-baselines3, CleanRL, Dopamine, RLlib and the paper that are written in another way here.
NAMES_OF_OPTIONS = {
    "steps": "total_timesteps timesteps num_timesteps n_timesteps total_steps max_steps num_frames total_frames",
    "lr": "learning_rate step_size eta initial_lr",
    "workers": "n_envs num_envs num_workers n_workers threads num_threads n_threads processes num_processes actors",
    "t_max": "n_steps num_steps nsteps n_step rollout_length unroll_length rollout_fragment_length update_every",
    "beta": "ent_coef entropy_coef ent_coeff entropy_coeff entropy_coefficient entropy_beta entropy_weight",
    "clip_norm": "max_grad_norm grad_clip clip_grad clip_grad_norm gradient_clip max_gradient_norm grad_norm",
    "gamma": "discount discount_factor",
    "env": "env_id env_name environment environment_id game task",
    "algo": "algorithm method algo_name",
    "network": "policy net_arch policy_kwargs model architecture arch hidden_sizes layers",
    "optimizer": "optimizer_class optim optimiser",
    "rms_eps": "rms_prop_eps rmsprop_eps rmsprop_epsilon opt_eps adam_eps",
    "rms_decay": "rms_alpha rmsprop_alpha rmsprop_decay momentum",
    "target_interval": "target_update_interval target_update_freq target_network_frequency target_network_update_freq",
    "epsilon_steps": "exploration_fraction exploration_steps epsilon_decay eps_decay epsilon_anneal_steps",
    "reward_clip": "clip_reward clip_rewards reward_clipping",
    "normalize": "normalize_obs normalise norm_obs normalize_observations obs_norm",
    "terminal_on_life_loss": "episodic_life terminal_on_lives_loss",
    "eval_every": "eval_freq eval_interval evaluation_interval evaluate_every",
    "periodic_eval_episodes": "n_eval_episodes num_eval_episodes",
    "checkpoint_every": "save_freq save_every save_interval checkpoint_freq checkpoint_interval",
    "seed": "random_seed rng_seed",
    "deterministic": "torch_deterministic reproducible",
    "out": "output output_dir out_dir log_dir logdir save_path save_dir run_dir folder",
    "from_agent": "init_from load_path pretrained initial_agent",
    "callbacks": "callback",
    "tensorboard": "tensorboard_log",
    "verbose": "verbosity progress_bar",
}
OTHER_OPTIONS = {other: name for name, others in NAMES_OF_OPTIONS.items() for other in others.split()} | {
    **dict.fromkeys(("buffer_size", "replay_size", "replay_buffer_size", "learning_starts", "batch_size"), NO_MEMORY),
    **dict.fromkeys(("vf_coef", "value_coef", "value_loss_coef", "vf_loss_coeff"), ONE_LOSS),
    **dict.fromkeys(("clip_range", "clip_coef", "n_epochs", "update_epochs", "n_minibatches", "target_kl"), NO_PPO),
    **dict.fromkeys(("device", "cuda", "gpu", "num_gpus"), NO_GPU),
    "gae_lambda": "leave it out, numasync has n-step returns without a lambda",
    "tau": "leave it out, the target network is copied as a whole every target_interval steps",
    "render": NO_PICTURES,
    "render_mode": NO_PICTURES,
}

NEAREST_TO_DQN = "the nearest algorithms here are one_step_q and nstep_q, which need no replay memory"
NEAREST_IS_A3C = "the nearest algorithm here is a3c"

# By option, other names of its values.
OTHER_NAMES = {
    "algo": {
        "a2c": "the asynchronous form of it is a3c",
        "actor_critic": "a3c",
        "sarsa": "one_step_sarsa",
        "async_q": "one_step_q",
        **dict.fromkeys(("dqn", "ddqn", "double_dqn", "rainbow", "q", "q_learning"), NEAREST_TO_DQN),
        **dict.fromkeys(("ppo", "trpo", "acktr", "acer", "impala", "reinforce"), NEAREST_IS_A3C),
        **dict.fromkeys(("sac", "td3", "ddpg"), f"{NEAREST_IS_A3C}, which has continuous actions too"),
    },
    "network": {
        "mlppolicy": "mlp",
        "mlplstmpolicy": "mlp_lstm",
        **dict.fromkeys(("cnn", "cnnpolicy", "nature_cnn", "naturecnn", "dqn"), "nature"),
        **dict.fromkeys(("cnnlstmpolicy", "lstm", "rnn", "recurrent"), "nips_lstm"),
    },
    "optimizer": {
        **dict.fromkeys(("adam", "adamw"), "the optimisers here are shared_rmsprop, rmsprop and momentum_sgd"),
        **dict.fromkeys(("sgd", "momentum"), "momentum_sgd"),
    },
}

# Other names of the verbs of the command line.
NAMES_OF_VERBS = {
    "train": "learn run start fit",
    "eval": "evaluate test score",
    "watch": "play enjoy show render record video visualize",
    "runs": "list ls status",
    "envs": "environments games list_envs",
    "resume": "continue restart",
    "bench": "benchmark speed",
    "tune": "optimize optimise hpo search hyperopt optuna",
    "plot": "draw curves figure",
    "warmup": "compile",
}
OTHER_VERBS = {other: verb for verb, others in NAMES_OF_VERBS.items() for other in others.split()}
