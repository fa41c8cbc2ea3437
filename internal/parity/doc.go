// Package parity holds the whole program against OpenCompass 0.5.4: its tests
// run one config (testdata/eval.py) from start to end and compare every
// predictions file, results file and table with those that OpenCompass made of
// the same config. It has no code of its own. What is known to differ, and
// why, is in testdata/differences.json; how the recorded files were made, in
// testdata/README.md.
package parity
