// Package chaos disturbs whole runs and holds them to two promises: killed
// anywhere and started again, a run ends with the same bytes; and only what was
// in flight is asked twice.
//
// A Lab is a folder with a config and a work directory in it, in which the real
// program is started, signalled and started again. Soak disturbs a run at
// random moments, from a seed, until it is told to let it end. What starts the
// workers is a parameter (Fleet), so that every runner meets the same faults.
// Only tests use the package.
//
// A runner's own test is a Fleet and a loop:
//
//	l := chaos.NewLab(t, program)         // program from chaos.Build
//	want, wall := chaos.NewLab(t, program).Undisturbed(chaos.Spec{Fleet: f, …}.Config())
//	chaos.Soak(l, f, seed, want, wall)
//
// Environment of the tests: SEXTANT_CHAOS_ROUNDS (5), SEXTANT_CHAOS_SEED (from
// the clock; printed), SEXTANT_CHAOS_FULL=1 (the whole founding evaluation),
// SEXTANT_BIN (a program built already).
//
// Non-goals: it looks into no package; whatever it knows of a run it reads from
// files that docs/formats.md describes and from the fake model's request log.
//
// Taken from others: seeded rounds of faults with one check at the end, as in
// etcd's robustness tests and Jepsen.
package chaos
