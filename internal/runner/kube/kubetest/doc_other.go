//go:build !linux

// Package kubetest needs Linux: it runs pods as processes in groups of their own.
package kubetest
