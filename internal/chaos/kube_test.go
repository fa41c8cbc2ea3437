//go:build linux

package chaos

import (
	"context"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sextant/internal/model/fake"
	"sextant/internal/object"
	"sextant/internal/object/objecttest"
	"sextant/internal/runner/kube/kubetest"
)

// kubeFleet is a real Kubernetes with faults of its own; its pods are processes
// of this machine and see the folder of the lab.
func kubeFleet(l *Lab, c *kubetest.Cluster) Fleet {
	delay, _, _ := strings.Cut(slow, "=")
	return Fleet{
		Name: "kubernetes", Restarts: true,
		Import: "from opencompass.runners import KubernetesRunner",
		Runner: func(n int) string {
			return fmt.Sprintf("dict(type=KubernetesRunner, max_num_workers=%d, retry=5, image='sextant', kubeconfig=%q, command=[%q], env={%q: %q, %q: %q}, "+
				"volumes=[dict(name='all', hostPath=dict(path='/'))], volume_mounts=[dict(name='all', mountPath=%q)], ",
				n, c.Kubeconfig, program, delay, strings.TrimPrefix(slow, delay+"="), fake.LogVar, l.log, filepath.Dir(l.Dir))
		},
		Faults: []Fault{
			{"the API server is cut off for a while", func(l *Lab, s *Session, r *rand.Rand) Effect {
				c.StopAPI()
				time.Sleep(time.Duration(50+r.Intn(1500)) * time.Millisecond)
				if err := c.StartAPI(); err != nil {
					l.T.Error(err)
				}
				return Effect{}
			}},
			{"a pod is evicted", func(l *Lab, s *Session, r *rand.Rand) Effect {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				pods, err := c.Client.CoreV1().Pods(kubetest.Namespace).List(ctx, metav1.ListOptions{})
				if err != nil {
					l.T.Error(err)
					return Effect{}
				}
				for _, i := range r.Perm(len(pods.Items)) {
					if p := pods.Items[i]; p.Status.Phase == "Running" && p.DeletionTimestamp == nil {
						if err := c.Evict(ctx, p.Name); err != nil && !apierrors.IsNotFound(err) { // it may just have ended
							l.T.Error(err)
						}
						break
					}
				}
				return Effect{}
			}},
		},
	}
}

// storeArgs are the arguments of a KubernetesRunner whose workers share an
// object store with the coordinator and nothing else: what is below url, found
// with the variables of getenv.
func storeArgs(t *testing.T, l *Lab, c *kubetest.Cluster, url string, getenv func(string) string) string {
	t.Helper()
	secret := fmt.Sprintf("store-%d", time.Now().UnixNano())
	keys := map[string][]byte{}
	for _, n := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		keys[n] = []byte(getenv(n))
		l.Env = append(l.Env, n+"="+getenv(n))
	}
	if _, err := c.Client.CoreV1().Secrets(kubetest.Namespace).Create(context.Background(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: secret}, Data: keys}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	l.Ref = url + "/" + secret
	return fmt.Sprintf("image='sextant', kubeconfig=%q, command=[%q], object_store=%q, object_store_endpoint=%q, object_store_region=%q, object_store_credentials=%q, object_store_interval=0.1",
		c.Kubeconfig, program, l.Ref, getenv(object.EndpointVar), getenv(object.RegionVar), secret)
}

// objectFleet is kubeFleet with an object store in place of the folder: pods
// share nothing else with the coordinator. The store can be cut off.
// args are the arguments of its runner that say so.
func objectFleet(t *testing.T, l *Lab, c *kubetest.Cluster) (f Fleet, args string) {
	t.Helper()
	s := objecttest.Serve(t)
	args = storeArgs(t, l, c, "s3://"+objecttest.Bucket, s.Getenv)
	f = kubeFleet(l, c)
	f.Name, f.Delayed = "kubernetes with an object store", true
	delay, _, _ := strings.Cut(slow, "=")
	f.Runner = func(n int) string {
		return fmt.Sprintf("dict(type=KubernetesRunner, max_num_workers=%d, retry=5, env={%q: %q, %q: %q}, %s, ",
			n, delay, strings.TrimPrefix(slow, delay+"="), fake.LogVar, l.log, args)
	}
	f.Faults = append(f.Faults, Fault{"the object store is cut off for a while", func(l *Lab, _ *Session, r *rand.Rand) Effect {
		s.Cut()
		time.Sleep(time.Duration(50+r.Intn(1500)) * time.Millisecond)
		s.Mend()
		return Effect{}
	}})
	return f, args
}

// The same rounds on a real Kubernetes: its API server is cut off and pods are
// evicted, too.
func TestSoakKubernetes(t *testing.T) {
	if os.Getenv("SEXTANT_CHAOS_ROUNDS") == "" {
		t.Skip("a round takes half a minute: part of make nightly, or with SEXTANT_CHAOS_ROUNDS")
	}
	c := kubetest.Real(t, os.Environ())
	want, wall := undisturbed(t, Spec{Fleet: Local, Workers: 2, Partition: "dict(type=NumWorkerPartitioner, num_worker=2)"}.Config(), slow)
	seed := number("SEXTANT_CHAOS_SEED", time.Now().UnixNano()%1e9)
	rounds := number("SEXTANT_CHAOS_ROUNDS", 2)
	t.Logf("SEXTANT_CHAOS_SEED=%d SEXTANT_CHAOS_ROUNDS=%d; undisturbed, local: %v", seed, rounds, wall)
	for i := int64(0); i < rounds; i++ {
		t.Run(fmt.Sprint(seed+i), func(t *testing.T) {
			l := NewLab(t, program)
			l.Env = append(l.Env, slow)
			Soak(l, kubeFleet(l, c), seed+i, want, wall)
		})
		t.Run(fmt.Sprint(seed+i, " object store"), func(t *testing.T) {
			l := NewLab(t, program)
			l.Env = append(l.Env, slow)
			f, _ := objectFleet(t, l, c)
			Soak(l, f, seed+i, want, wall)
		})
	}
}
