Ext.onReady(() => Ext.create('PVE.StdWorkspace'));
