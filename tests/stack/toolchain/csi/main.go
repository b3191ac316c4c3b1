// Stands in for the node half of Google's Filestore CSI driver: mounts a host directory as the share.
//
// Usage: filestore-csi KUBELET_ROOT EXPORTS
//
// EXPORTS/<ip>/<share> is what a Filestore instance at <ip> exports as <share>. A volume of any other
// address or share is refused in the words of the NFS client, as one that can't be mounted.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net"
	"os"
	"path/filepath"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

const driver = "filestore.csi.storage.gke.io"

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: filestore-csi KUBELET_ROOT EXPORTS")
	}
	kubelet, exports := os.Args[1], os.Args[2]
	endpoint := filepath.Join(kubelet, "plugins", driver, "csi.sock")

	services := grpc.NewServer()
	csi.RegisterIdentityServer(services, &identity{})
	csi.RegisterNodeServer(services, &node{exports: exports})
	registrar := grpc.NewServer()
	registration.RegisterRegistrationServer(registrar, &registrant{endpoint: endpoint})

	ended := make(chan error)
	serve(services, endpoint, ended)
	serve(registrar, filepath.Join(kubelet, "plugins_registry", driver+"-reg.sock"), ended)
	log.Fatal(<-ended)
}

func serve(server *grpc.Server, socket string, ended chan<- error) {
	listener, err := listen(socket)
	if err != nil {
		log.Fatal(err)
	}
	go func() { ended <- server.Serve(listener) }()
}

func listen(socket string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(socket), 0o750); err != nil {
		return nil, err
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("socket of an earlier run: %w", err)
	}
	return net.Listen("unix", socket)
}
