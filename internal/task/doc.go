// Package task is the unit of work and what executes it: the Task that a
// partitioner cuts, the Manifest that a worker process is started with, the
// Status that the worker reports, and the execution of inference and
// evaluation (exec_*.go) behind `sextant worker MANIFEST`.
//
// Every runner starts the same worker on the same manifest; so what passes on
// a laptop is what runs on a cluster.
//
// Non-goals: it starts no processes (package runner) and cuts no tasks
// (package partition).
package task
