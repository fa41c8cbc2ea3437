package store

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The test binary is its own victim: with this variable set it writes records
// to a run, says on stdout what it was asked for, and settles at the end.
const killVar = "SEXTANT_STORE_TEST_WRITER"

func TestMain(m *testing.M) {
	if os.Getenv(killVar) != "" {
		if err := victim(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const killRows = 400

func victim() error {
	r, err := Open(os.Args[1])
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := r.Writer(head(killRows, "p"), os.Args[2], WriterOptions{Sole: os.Args[3] == "sole"})
	if err != nil {
		return err
	}
	for _, i := range rand.Perm(killRows) {
		if w.Have(i, idOf(i, "p")) {
			continue
		}
		fmt.Println(i) // asked; unbuffered
		if err := w.Put(context.Background(), rec(i, "p")); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	in := inputs("p")
	_, err = r.Settle("m", "ds", &in, nil)
	return err
}

// Killed at random moments, of writing and of settling, and started again: the
// bytes of the undisturbed run, and only what was in flight asked twice.
func TestKill(t *testing.T) {
	t.Parallel()
	want := reference(t, killRows, "p")
	rounds := 6
	if testing.Short() {
		rounds = 3
	}
	for round := range rounds {
		mode := []string{"sole", "part"}[round%2]
		r := testRun(t)
		asked := map[int]int{}
		kills := 0
		for attempt := 1; ; attempt++ {
			if attempt > 500 {
				t.Fatal("never finished")
			}
			cmd := exec.Command(os.Args[0], r.Dir(), fmt.Sprintf("w%d", attempt), mode)
			cmd.Env = append(os.Environ(), killVar+"=1")
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stderr = os.Stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			// The moment is counted in rows, then a little time goes by, so that
			// settling is hit too.
			after := rand.IntN(killRows) / (2 * attempt)
			sc := bufio.NewScanner(out)
			for n := 0; sc.Scan(); n++ {
				i, err := strconv.Atoi(sc.Text())
				if err != nil {
					t.Fatal(err)
				}
				asked[i]++
				if n == after && attempt < 6 {
					time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond)
					cmd.Process.Kill()
				}
			}
			err = cmd.Wait()
			if err == nil {
				break
			}
			kills++
			if kills%3 == 0 { // and a torn line, as a dying machine leaves it
				tear(t, r)
			}
		}
		if d := cmp.Diff(want, finalFiles(t, r)); d != "" {
			t.Fatalf("round %d after %d kills: %s", round, kills, d)
		}
		twice := 0
		for _, n := range asked {
			twice += n - 1
		}
		if len(asked) != killRows || twice > kills { // one in flight at a time
			t.Fatalf("round %d: %d rows asked, %d more than once, %d kills", round, len(asked), twice, kills)
		}
	}
}

// tear appends half a line to every file of records, as if the machine had
// died in the middle of another one.
func tear(t *testing.T, r *Run) {
	paths, err := r.recordFiles("m", "ds")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		f, err := os.OpenFile(p, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString(`{"v":1,"i":3,"id":"00`)
		f.Close()
	}
}
