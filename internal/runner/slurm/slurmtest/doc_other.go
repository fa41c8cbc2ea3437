//go:build !linux

// Package slurmtest starts a real Slurm for tests, on Linux only.
package slurmtest
