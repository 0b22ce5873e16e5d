// What Proxmox VE's page sets before anything else: the user, the node, and translation.
window.Proxmox = {
    UserName: document.currentScript.dataset.user,
    NodeName: document.currentScript.dataset.node,
};
window.gettext = (message) => message;
window.ngettext = (singular, plural, count) => (count === 1 ? singular : plural);
