//go:build linux

package kubetest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// BinVar names the folder with kube-apiserver and kube-controller-manager,
// which tools/k8s-build.sh fills.
const BinVar = "SEXTANT_K8S_BIN"

// startTime is how long a part of a control plane may take to answer: seconds,
// but for machines that have much else to do.
const startTime = 5 * time.Minute

// processes of a real control plane.
type processes struct {
	dir, bin   string
	host       string // address of the loopback network that is this one's
	etcd       string // URL
	port       int
	cfg        *rest.Config
	mu         sync.Mutex // guards apiserver
	apiserver  *process
	background []*process
}

// process is one that was started here.
type process struct {
	*exec.Cmd
	done chan struct{} // it has ended
}

// Real starts a control plane, or skips the test with the reason why it
// cannot. environ is that of the containers.
func Real(t testing.TB, environ []string) *Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("not with -short: starts a Kubernetes control plane")
	}
	bin := os.Getenv(BinVar)
	if bin == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Skipf("no real Kubernetes: %v", err)
		}
		bin = filepath.Join(cache, "sextant-test", "k8s")
	}
	for _, n := range []string{"kube-apiserver", "kube-controller-manager"} {
		if _, err := os.Stat(filepath.Join(bin, n)); err != nil {
			t.Skipf("no real Kubernetes: %v (tools/k8s-build.sh builds it, %s names another folder)", err, BinVar)
		}
	}
	if _, err := exec.LookPath("etcd"); err != nil {
		t.Skip("no real Kubernetes: etcd is not installed (Debian: etcd-server)")
	}
	dir := t.TempDir()
	p := &processes{dir: dir, bin: bin}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		p.stopAll()
	})
	kubeconfig, err := p.start()
	if err != nil {
		t.Fatalf("start Kubernetes: %v", err)
	}
	cs, err := kubernetes.NewForConfig(p.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := awaitNamespace(ctx, cs); err != nil {
		t.Fatalf("start Kubernetes: %v", err)
	}
	k := newKubelet(cs, t.TempDir(), environ, func(ctx context.Context, name string, change func(*corev1.Pod)) error {
		for {
			cur, err := cs.CoreV1().Pods(Namespace).Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if cur.Spec.NodeName == "" {
				if err := cs.CoreV1().Pods(Namespace).Bind(ctx, &corev1.Binding{
					ObjectMeta: metav1.ObjectMeta{Name: name}, Target: corev1.ObjectReference{Kind: "Node", Name: NodeName},
				}, metav1.CreateOptions{}); err != nil && cur.DeletionTimestamp == nil {
					return err
				}
				if cur, err = cs.CoreV1().Pods(Namespace).Get(ctx, name, metav1.GetOptions{}); err != nil {
					return err
				}
			}
			change(cur)
			if _, err = cs.CoreV1().Pods(Namespace).UpdateStatus(ctx, cur, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
				return err
			}
		}
	})
	if err := serveLogs(ctx, &wg, cs, k); err != nil {
		t.Fatalf("start the node: %v", err)
	}
	wg.Go(func() { k.run(ctx) })
	return &Cluster{Client: cs, Kubeconfig: kubeconfig, kubelet: k, real: p}
}

// StopAPI kills the API server; its etcd keeps what it knew.
func (c *Cluster) StopAPI() {
	p := c.real
	p.mu.Lock()
	defer p.mu.Unlock()
	p.apiserver.stop()
}

// StartAPI starts the API server again, at the same address.
func (c *Cluster) StartAPI() error { return c.real.startAPI() }

// loopback is an address that no other control plane has: nobody else's
// connections take its ports, not even while its server is being restarted.
func loopback() (string, error) {
	b := make([]byte, 3)
	if _, err := rand.Read(b); err != nil {
		return "", err
	}
	return net.IPv4(127, b[0], b[1], 1+b[2]%254).String(), nil
}

func freePort(host string) (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// await asks until the answer is nil, as long as startTime.
func await(ctx context.Context, what string, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		rctx, stop := context.WithTimeout(ctx, 10*time.Second)
		err := ask(rctx)
		stop()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not there: %w", what, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// awaitNamespace waits for the namespace, which the API server makes after it
// says that it is ready.
func awaitNamespace(ctx context.Context, cs kubernetes.Interface) error {
	return await(ctx, "namespace "+Namespace, func(ctx context.Context) error {
		_, err := cs.CoreV1().Namespaces().Get(ctx, Namespace, metav1.GetOptions{})
		return err
	})
}

const token = "kubetest-admin"

func (p *processes) start() (kubeconfig string, err error) {
	if p.host, err = loopback(); err != nil {
		return "", err
	}
	var ports [4]int
	for i := range ports {
		if ports[i], err = freePort(p.host); err != nil {
			return "", err
		}
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", err
	}
	pub, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return "", err
	}
	p.port = ports[0]
	kubeconfig = p.path("kubeconfig")
	for name, text := range map[string][]byte{
		"sa.key":     pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
		"sa.pub":     pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub}),
		"tokens.csv": []byte(token + ",admin,admin,system:masters\n"),
		"kubeconfig": fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://%s:%d", insecure-skip-tls-verify: true}}]
users: [{name: u, user: {token: %s}}]
contexts: [{name: x, context: {cluster: c, user: u, namespace: %s}}]
current-context: x
`, p.host, p.port, token, Namespace),
	} {
		if err := os.WriteFile(p.path(name), text, 0o600); err != nil {
			return "", err
		}
	}
	p.etcd = fmt.Sprintf("http://%s:%d", p.host, ports[1])
	peer := fmt.Sprintf("http://%s:%d", p.host, ports[2])
	if err := p.spawn("etcd", "etcd", "--data-dir", p.path("etcd"), "--listen-client-urls", p.etcd, "--advertise-client-urls", p.etcd,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer, "--unsafe-no-fsync"); err != nil {
		return "", err
	}
	if err := await(context.Background(), "etcd", func(ctx context.Context) error { return p.ask(ctx, p.etcd+"/health") }); err != nil {
		return "", fmt.Errorf("%w: %s", err, p.tail("etcd"))
	}
	if p.cfg, err = clientcmd.BuildConfigFromFlags("", kubeconfig); err != nil {
		return "", err
	}
	p.cfg.QPS, p.cfg.Burst = 500, 1000
	if err := p.startAPI(); err != nil {
		return "", err
	}
	return kubeconfig, p.spawn("kcm", filepath.Join(p.bin, "kube-controller-manager"), "--kubeconfig="+kubeconfig,
		"--authentication-kubeconfig="+kubeconfig, "--authorization-kubeconfig="+kubeconfig,
		"--controllers=job-controller,ttl-after-finished-controller,garbage-collector-controller,pod-garbage-collector-controller",
		"--leader-elect=false", fmt.Sprintf("--secure-port=%d", ports[3]), "--bind-address="+p.host, "--cert-dir="+p.path("kcm-certs"),
		"--service-account-private-key-file="+p.path("sa.key"))
}

func (p *processes) path(name string) string { return filepath.Join(p.dir, name) }

func (p *processes) command(log, name string, args ...string) (*process, error) {
	f, err := os.OpenFile(p.path(log+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the child has its own
	c := exec.Command(name, args...)
	c.Dir, c.Stdout, c.Stderr = p.dir, f, f
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		return nil, err
	}
	x := &process{c, make(chan struct{})}
	go func() {
		_ = c.Wait() // its log says more
		close(x.done)
	}()
	return x, nil
}

func (x *process) stop() {
	_ = x.Process.Kill() // gone: fine
	<-x.done
}

func (x *process) ended() bool {
	select {
	case <-x.done:
		return true
	default:
		return false
	}
}

func (p *processes) spawn(log, name string, args ...string) error {
	x, err := p.command(log, name, args...)
	if err != nil {
		return err
	}
	p.background = append(p.background, x)
	return nil
}

func (p *processes) startAPI() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	start := func() (err error) {
		p.apiserver, err = p.command("apiserver", filepath.Join(p.bin, "kube-apiserver"), "--etcd-servers="+p.etcd, fmt.Sprintf("--secure-port=%d", p.port),
			"--bind-address="+p.host, "--advertise-address="+p.host, "--cert-dir="+p.path("certs"), "--token-auth-file="+p.path("tokens.csv"),
			"--authorization-mode=RBAC", "--service-account-issuer=https://localhost", "--service-account-key-file="+p.path("sa.pub"),
			"--service-account-signing-key-file="+p.path("sa.key"), "--service-cluster-ip-range=10.96.0.0/24",
			"--disable-admission-plugins=ServiceAccount,TaintNodesByCondition", "--enable-priority-and-fairness=false", "--endpoint-reconciler-type=none",
			"--kubelet-preferred-address-types=InternalIP")
		return err
	}
	if err := start(); err != nil {
		return err
	}
	err := await(context.Background(), "the API server", func(ctx context.Context) error {
		if p.apiserver.ended() { // it gives up when something it starts with takes too long
			if err := start(); err != nil {
				return err
			}
		}
		return p.ask(ctx, fmt.Sprintf("https://%s:%d/readyz", p.host, p.port))
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, p.tail("apiserver"))
	}
	return nil
}

// ask requests a page that says whether a server is well.
func (p *processes) ask(ctx context.Context, url string) error {
	r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	h := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}} //nolint:gosec // a test's own server
	res, err := h.Do(r)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, res.Status)
	}
	return nil
}

// tail is how a log ends.
func (p *processes) tail(log string) []byte {
	text, _ := os.ReadFile(p.path(log + ".log")) // none: nothing to say
	return text[max(0, len(text)-2000):]
}

func (p *processes) stopAll() {
	all := p.background
	if p.apiserver != nil {
		all = append(all, p.apiserver)
	}
	for i := len(all) - 1; i >= 0; i-- {
		all[i].stop()
	}
}

// serveLogs makes the node known and answers the API server's questions for
// logs, as a kubelet does.
func serveLogs(ctx context.Context, wg *sync.WaitGroup, cs kubernetes.Interface, k *kubelet) error {
	cert, err := selfSigned()
	if err != nil {
		return err
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		return err
	}
	srv := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		part := strings.Split(r.URL.Path, "/") // "", containerLogs, namespace, pod, container
		if len(part) != 5 || part[1] != "containerLogs" {
			http.NotFound(w, r)
			return
		}
		text, ok := k.log(part[3])
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = bytes.NewBufferString(text).WriteTo(w) // the reader may be gone
	})}
	wg.Go(func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			panic(err)
		}
	})
	context.AfterFunc(ctx, func() { srv.Close() })
	n, err := cs.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: NodeName}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}}
	n.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(l.Addr().(*net.TCPAddr).Port)
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	_, err = cs.CoreV1().Nodes().UpdateStatus(ctx, n, metav1.UpdateOptions{})
	return err
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
