//go:build linux

// Package slurmtest starts a real one-node Slurm for tests: its own munged,
// slurmctld and slurmd, with their state in a folder that goes with the test
// and on ports that are free, so that several test processes can each have
// one. It needs root, and Debian's slurm-wlm and munge (or the same programs
// from elsewhere); tests are skipped, with the reason, where they lack.
//
// The node claims many more CPUs than the machine has, so that 64 elements of
// an array run at once on two cores. There is no slurmdbd: sacct does not work,
// as on many clusters.
//
// Non-goals: accounting, several nodes, cgroups.
package slurmtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// CPUs is how many processors the node claims to have.
const CPUs = 128

// GPUs is how many (fake) GPUs it has.
const GPUs = 4

// patience is how long something may take that takes a moment: machines that
// run tests stand still now and then.
const patience = 5 * time.Minute

// Cluster is a running Slurm.
type Cluster struct {
	// Dir holds its state; Node is the name of its only node.
	Dir, Node string
	// StateDir is where slurmctld keeps its own state of jobs.
	StateDir string

	lines []string
	start chan startRequest
	stop  chan struct{}
	procs map[string]*daemon
}

type daemon struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

type startRequest struct {
	cmd *exec.Cmd
	err chan error
}

// programs that a cluster consists of.
var programs = []string{"munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "sinfo"}

// Lacking says why no cluster can be started here; "" when one can.
func Lacking() string {
	if os.Getuid() != 0 {
		return "a Slurm for the test can only be started as root"
	}
	for _, p := range programs {
		if find(p) == "" {
			return fmt.Sprintf("%s is not installed (Debian: slurm-wlm and munge)", p)
		}
	}
	return ""
}

func find(prog string) string {
	for _, d := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin", "/usr/local/sbin") {
		p := filepath.Join(d, prog)
		if st, err := os.Stat(p); err == nil && !st.IsDir() && st.Mode()&0o111 != 0 {
			return p
		}
	}
	return ""
}

// Start starts a cluster and stops it when the test ends. What is to use it
// needs the environment that Environ gives. config replaces lines of its
// slurm.conf: "MaxArraySize=5".
func Start(t testing.TB, config ...string) *Cluster {
	t.Helper()
	if why := Lacking(); why != "" {
		t.Skip(why)
	}
	c, err := start(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, f := range []string{"slurmctld.log", "slurmd.log"} {
				b, _ := os.ReadFile(filepath.Join(c.Dir, f))
				t.Logf("%s ends with:\n%s", f, b[max(0, len(b)-3000):])
			}
		}
		c.Stop()
	})
	return c
}

func start(config []string) (*Cluster, error) {
	// Not below t.TempDir: the path of a socket must be short, and munged
	// wants every folder above it safe from others.
	dir, err := os.MkdirTemp("", "slurm")
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	host, _, _ = strings.Cut(host, ".")
	c := &Cluster{Dir: dir, lines: config, Node: host, StateDir: filepath.Join(dir, "state"), start: make(chan startRequest), stop: make(chan struct{}), procs: map[string]*daemon{}}
	go c.starter()
	if err := c.up(); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

// Environ is this process's environment with the variable that leads Slurm's
// commands to the cluster.
func (c *Cluster) Environ() []string { return append(os.Environ(), "SLURM_CONF="+c.conf()) }

func (c *Cluster) conf() string { return filepath.Join(c.Dir, "slurm.conf") }

func (c *Cluster) up() error {
	// Others must be able to reach the sockets and configs.
	if err := os.Chmod(c.Dir, 0o755); err != nil {
		return err
	}
	for _, d := range []string{"munge", "state", "spool"} {
		if err := os.Mkdir(filepath.Join(c.Dir, d), 0o700); err != nil {
			return err
		}
	}
	key := make([]byte, 128)
	_, _ = rand.Read(key) // never fails
	if err := os.WriteFile(filepath.Join(c.Dir, "munge", "key"), key, 0o400); err != nil {
		return err
	}
	var gres strings.Builder
	for i := range GPUs {
		if err := syscall.Mknod(filepath.Join(c.Dir, fmt.Sprintf("gpu%d", i)), syscall.S_IFCHR|0o666, 1<<8|3); err != nil {
			return fmt.Errorf("make fake GPU: %w", err)
		}
	}
	fmt.Fprintf(&gres, "NodeName=%s Name=gpu File=%s/gpu[0-%d]\n", c.Node, c.Dir, GPUs-1)
	if err := os.WriteFile(filepath.Join(c.Dir, "gres.conf"), []byte(gres.String()), 0o644); err != nil {
		return err
	}
	var last error
	for range 5 { // a port may be taken between looking and using it
		ports, err := freePorts(2)
		if err != nil {
			return err
		}
		if err := os.WriteFile(c.conf(), c.config(ports), 0o644); err != nil {
			return err
		}
		if last = c.daemons(); last == nil {
			return nil
		}
		c.stopDaemons()
	}
	return last
}

// freePorts finds ports below those that the system gives to whoever asks for
// any: while a daemon is stopped, nobody is given its port by chance.
func freePorts(n int) (out []int, err error) {
	for range 1000 {
		l, e := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+mathrand.IntN(22000)))
		if e != nil {
			err = e
			continue
		}
		defer l.Close()
		if out = append(out, l.Addr().(*net.TCPAddr).Port); len(out) == n {
			return out, nil
		}
	}
	return nil, fmt.Errorf("find a free port: %w", err)
}

func (c *Cluster) config(ports []int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `ClusterName=test
SlurmctldHost=%[1]s(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# a requeued job waits cred_expire seconds (5 at least, 120 by default) before it starts again
AuthInfo=cred_expire=5,socket=%[2]s/munge.sock
SlurmctldPort=%[3]d
SlurmdPort=%[4]d
StateSaveLocation=%[2]s/state
SlurmdSpoolDir=%[2]s/spool
SlurmctldPidFile=%[2]s/slurmctld.pid
SlurmdPidFile=%[2]s/slurmd.pid
SlurmctldLogFile=%[2]s/slurmctld.log
SlurmdLogFile=%[2]s/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0,default_queue_depth=1000
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MaxArraySize=10001
MaxJobCount=20000
MinJobAge=300
KillWait=2
# a busy machine takes long to start a job: it is not to be put back into the queue for that
MessageTimeout=60
TCPTimeout=60
BatchStartTimeout=300
UnkillableStepTimeout=600
InactiveLimit=0
JobRequeue=1
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=%[1]s NodeAddr=127.0.0.1 CPUs=%[5]d Gres=gpu:%[6]d State=UNKNOWN
PartitionName=debug Nodes=%[1]s Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
PartitionName=other Nodes=%[1]s MaxTime=INFINITE State=UP OverSubscribe=NO
`, c.Node, c.Dir, ports[0], ports[1], CPUs, GPUs)
	text := b.String()
	for _, l := range c.lines {
		key, _, _ := strings.Cut(l, "=")
		text = regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(key)+`=.*\n`).ReplaceAllString(text, "") + l + "\n"
	}
	return []byte(text)
}

func (c *Cluster) daemons() error {
	m := filepath.Join(c.Dir, "munge")
	if c.procs["munged"] == nil {
		if err := c.run("munged", "-F", "--key-file="+m+"/key", "--socket="+c.Dir+"/munge.sock", "--pid-file="+m+"/pid", "--log-file="+m+"/log", "--seed-file="+m+"/seed"); err != nil {
			return err
		}
		if err := c.wait("munged", func() bool { _, err := os.Stat(c.Dir + "/munge.sock"); return err == nil }); err != nil {
			return err
		}
	}
	if err := c.StartController(); err != nil {
		return err
	}
	return c.StartNode()
}

// StartController starts slurmctld, again after StopController, and waits until
// it answers.
func (c *Cluster) StartController() error {
	if err := c.run("slurmctld", "-D", "-f", c.conf()); err != nil {
		return err
	}
	return c.wait("slurmctld", func() bool {
		for _, ask := range [][]string{{"scontrol", "ping"}, {"squeue", "-h"}, {"sinfo", "-h"}} {
			if _, err := c.Command(ask[0], ask[1:]...); err != nil {
				return false
			}
		}
		return true
	})
}

// StopController stops slurmctld: nothing can be asked until it is started again.
func (c *Cluster) StopController() { c.kill("slurmctld", syscall.SIGTERM) }

// StartNode starts slurmd and waits until the node can be used.
func (c *Cluster) StartNode() error {
	if err := c.run("slurmd", "-D", "-f", c.conf()); err != nil {
		return err
	}
	return c.wait("slurmd", func() bool {
		switch s := c.nodeState(); s {
		case "idle", "mixed", "allocated":
			return true
		default:
			return strings.HasPrefix(s, "drain") && !strings.HasSuffix(s, "*")
		}
	})
}

// nodeState is how sinfo calls the node's state, with a * behind it when the
// node does not respond; "" when it does not say.
func (c *Cluster) nodeState() string {
	out, err := c.Command("sinfo", "-h", "-N", "-p", "debug", "-o", "%T")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(out)
}

// Drain lets nothing new start on the node.
func (c *Cluster) Drain() error {
	return c.update(func(s string) bool { return strings.HasPrefix(s, "drain") }, "State=DRAIN", "Reason=test")
}

// Resume undoes Drain.
func (c *Cluster) Resume() error {
	return c.update(func(s string) bool { return s == "idle" || s == "mixed" || s == "allocated" }, "State=RESUME")
}

// update changes the node as an administrator does, who tries again when it is
// refused: slurmctld does so (Invalid node state specified) when it has just
// been started and the node has not responded yet.
func (c *Cluster) update(done func(state string) bool, fields ...string) error {
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if _, err = c.Command("scontrol", append([]string{"update", "NodeName=" + c.Node}, fields...)...); err == nil || done(c.nodeState()) {
			return nil
		}
	}
	return err
}

// StopNode ends slurmd; what runs on the node goes on.
func (c *Cluster) StopNode() { c.kill("slurmd", syscall.SIGTERM) }

// run starts a daemon in the foreground, as a child that dies with this process.
func (c *Cluster) run(prog string, args ...string) error {
	cmd := exec.Command(find(prog), args...)
	cmd.Env = c.Environ()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	out, err := os.OpenFile(filepath.Join(c.Dir, prog+".out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	req := startRequest{cmd, make(chan error, 1)}
	c.start <- req
	if err := <-req.err; err != nil {
		return fmt.Errorf("start %s: %w", prog, err)
	}
	d := &daemon{cmd, make(chan struct{})}
	c.procs[prog] = d
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(d.done)
	}()
	return nil
}

// starter starts the daemons from a thread that lives as long as the cluster:
// the kernel sends Pdeathsig when the starting thread ends.
func (c *Cluster) starter() {
	runtime.LockOSThread()
	for {
		select {
		case r := <-c.start:
			r.err <- r.cmd.Start()
		case <-c.stop:
			return
		}
	}
}

func (c *Cluster) wait(prog string, ready func() bool) error {
	deadline := time.Now().Add(patience)
	d := c.procs[prog]
	for !ready() {
		select {
		case <-d.done:
			return fmt.Errorf("%s ended: %s", prog, c.said(prog))
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s did not come up: %s", prog, c.said(prog))
		}
	}
	return nil
}

func (c *Cluster) said(prog string) string {
	var all []byte
	for _, f := range []string{prog + ".out", prog + ".log"} {
		b, _ := os.ReadFile(filepath.Join(c.Dir, f))
		all = append(all, b[max(0, len(b)-1500):]...)
	}
	return string(all)
}

// Command runs one of Slurm's commands and returns what it printed.
func (c *Cluster) Command(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = c.Environ()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// Must is Command for tests that cannot go on when it fails.
func (c *Cluster) Must(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := c.Command(name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Quiet waits until none of Slurm's commands runs any more, as after the death
// of whoever had started one: sbatch goes on without it.
func (c *Cluster) Quiet(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(patience); c.asked(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a command of Slurm does not end")
		}
	}
}

// asked reports whether a command runs that asks this cluster.
func (c *Cluster) asked() bool {
	commands, _ := filepath.Glob("/proc/[0-9]*/comm") // the pattern is well formed
	for _, p := range commands {
		b, err := os.ReadFile(p)
		if err != nil {
			continue // it ended
		}
		switch strings.TrimSpace(string(b)) {
		case "sbatch", "squeue", "scontrol", "scancel", "sinfo":
		default:
			continue
		}
		env, _ := os.ReadFile(filepath.Join(filepath.Dir(p), "environ")) // it may have ended
		if bytes.Contains(env, []byte("SLURM_CONF="+c.conf()+"\x00")) {
			return true
		}
	}
	return false
}

func (c *Cluster) kill(prog string, sig syscall.Signal) {
	d := c.procs[prog]
	if d == nil {
		return
	}
	_ = syscall.Kill(d.cmd.Process.Pid, sig)
	select {
	case <-d.done:
	case <-time.After(patience): // it saves its state
		_ = syscall.Kill(d.cmd.Process.Pid, syscall.SIGKILL)
		<-d.done
	}
	delete(c.procs, prog)
}

func (c *Cluster) stopDaemons() {
	c.kill("slurmctld", syscall.SIGKILL)
	c.kill("slurmd", syscall.SIGTERM)
}

// Stop ends all jobs and daemons and removes the cluster's folder.
func (c *Cluster) Stop() {
	if c.procs["slurmctld"] != nil && c.procs["slurmd"] != nil {
		out, err := c.Command("squeue", "-h", "-o", "%A")
		if err == nil && strings.TrimSpace(out) != "" {
			_, _ = c.Command("scancel", "-s", "KILL", "-f", "-u", "root") // what is left dies with the machine at the latest
			_, _ = c.Command("scancel", "-u", "root")
			deadline := time.Now().Add(30 * time.Second)
			for time.Now().Before(deadline) {
				if out, err := c.Command("squeue", "-h", "-o", "%A"); err != nil || strings.TrimSpace(out) == "" {
					break
				}
				time.Sleep(50 * time.Millisecond)
			}
		}
	}
	c.stopDaemons()
	c.kill("munged", syscall.SIGTERM)
	close(c.stop)
	var err error
	for range 20 { // a step daemon may still be writing
		if err = os.RemoveAll(c.Dir); err == nil || errors.Is(err, os.ErrNotExist) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}
