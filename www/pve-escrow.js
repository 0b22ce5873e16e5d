// The panel of pve-escrow in the web GUI of Proxmox VE. There is none yet.
